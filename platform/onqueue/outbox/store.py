"""The outbox in SQL: plain statements with guards, so that any number of processes may share it."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from sqlalchemy import Select, and_, delete, func, insert, or_, select, update

from onqueue.clock import SystemClock
from onqueue.outbox.tables import job_outbox
from onqueue.stores import OutboxRecord, PendingJob

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from onqueue.contracts import Clock, JobId, Message
    from onqueue.stores import OutboxState

CHUNK = 500
"""Ids a statement: below the parameter limits of every database."""

_row = job_outbox.c
_deferred: ContextVar[dict[int, tuple[SqlOutbox, list[JobId]]] | None] = ContextVar(
    "onqueue_deferred_marks", default=None
)


@dataclass(slots=True, frozen=True)
class DispatchedJob:
    """A durable row the broker should have; `seq` is its place in the order of dispatch."""

    seq: int
    job: PendingJob


@contextmanager
def deferred_marks() -> Iterator[None]:
    """Collect what is marked as dispatched inside the block, and write it in one go at its end."""
    marks: dict[int, tuple[SqlOutbox, list[JobId]]] = {}
    token = _deferred.set(marks)
    try:
        yield
    finally:
        _deferred.reset(token)
        for outbox, ids in marks.values():
            outbox.mark_dispatched(ids)


class SqlOutbox:
    """The outbox in the database that `engine` speaks to.

    A row that is not durable goes once the broker has the job; a durable one stays until its
    outcome and is then kept as `done` or `failed` until it is pruned.
    """

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        """Use the engine for all that does not belong to a caller's transaction."""
        self.engine = engine
        self._clock: Clock = clock or SystemClock()

    # ---- writing jobs down ----

    def add(
        self,
        connection: Connection | None,
        message: Message,
        *,
        connection_name: str,
        job: str,
        tenant: str | None,
        durable: bool,
    ) -> None:
        """Write one job as pending, on the caller's connection or (None) one of our own."""
        record = OutboxRecord(message, connection_name, job, tenant, durable)
        self.add_many(connection, [record])

    def add_many(self, connection: Connection | None, records: Sequence[OutboxRecord]) -> None:
        """Write several jobs as pending, in one statement and in their order."""
        if not records:
            return
        now = self._clock.now()
        rows = [_values(record, now) for record in records]
        with self._on(connection) as used:
            used.execute(insert(job_outbox), rows)

    # ---- what became of them ----

    def mark_dispatched(self, ids: Sequence[JobId]) -> None:
        """Tell that the broker has them: rows not durable are deleted, durable ones kept."""
        marks = _deferred.get()
        if marks is not None:
            marks.setdefault(id(self), (self, []))[1].extend(ids)
            return
        for chunk in _chunks(ids):
            with self.engine.begin() as connection:
                # Only a row that still waits: a worker may have written its outcome already.
                waiting = and_(_row.id.in_(chunk), _row.state == "pending")
                connection.execute(delete(job_outbox).where(waiting, _row.durable.is_(False)))
                connection.execute(update(job_outbox).where(waiting).values(self._dispatched_now()))

    def mark_outcome(self, job_id: JobId, outcome: Literal["done", "failed"]) -> None:
        """Tell how a durable job ended; unknown ids are no error, and `done` is final."""
        open_states = ("pending", "dispatched", "failed") if outcome == "done" else _OPEN
        statement = (
            update(job_outbox)
            .where(_row.id == job_id, _row.durable.is_(True), _row.state.in_(open_states))
            .values(state=outcome, done_at=self._clock.now(), claim=None, claimed_until=None)
        )
        with self.engine.begin() as connection:
            connection.execute(statement)

    def revive(self, job_id: JobId) -> bool:
        """Open a failed durable job's row again for a retry; False when there is none."""
        values = {**self._dispatched_now(), "done_at": None}
        statement = (
            update(job_outbox).where(_row.id == job_id, _row.state == "failed").values(values)
        )
        with self.engine.begin() as connection:
            return connection.execute(statement).rowcount > 0

    def state(self, job_id: JobId) -> OutboxState | None:
        """Return the row's state, None when there is no row."""
        with self.engine.connect() as connection:
            found = connection.scalar(select(_row.state).where(_row.id == job_id))
        return cast("OutboxState | None", found)

    def counts(self) -> dict[str, int]:
        """Return how many rows are in which state; states without rows are left out."""
        statement = select(_row.state, func.count()).group_by(_row.state)
        with self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def prune(self, older_than: float) -> int:
        """Delete ended rows older than so many seconds; return how many."""
        statement = delete(job_outbox).where(
            _row.state.in_(("done", "failed")), _row.done_at < self._ago(older_than)
        )
        with self.engine.begin() as connection:
            return connection.execute(statement).rowcount

    def discard(self, ids: Sequence[JobId], connection_name: str | None = None) -> int:
        """Delete open rows whose jobs an operator removed on purpose; return how many.

        With a name only those of that connection.
        """
        removed = 0
        for chunk in _chunks(ids):
            with self.engine.begin() as connection:
                statement = delete(job_outbox).where(_row.id.in_(chunk), _row.state.in_(_OPEN))
                if connection_name is not None:
                    statement = statement.where(_row.connection == connection_name)
                removed += connection.execute(statement).rowcount
        return removed

    def open_ids(self, connection_name: str, queue: str) -> list[JobId]:
        """Return the jobs of one queue that have no outcome yet, in the order of dispatch."""
        statement = (
            select(_row.id)
            .where(_row.state.in_(_OPEN), _row.connection == connection_name, _row.queue == queue)
            .order_by(_row.seq)
        )
        with self.engine.connect() as connection:
            return list(connection.scalars(statement))

    # ---- for the relay ----

    def pending(self, limit: int, older_than: float) -> list[PendingJob]:
        """Return the oldest rows that wait for their push for more than so many seconds."""
        waiting = self._waiting(older_than)
        with self.engine.connect() as connection:
            return [_job(row) for row in connection.execute(waiting.limit(limit))]

    def claim(
        self, limit: int, *, older_than: float, hold: float, without: Collection[str] = ()
    ) -> list[PendingJob]:
        """Return waiting rows nobody else pushes, in order, and hold them for so many seconds.

        Rows of the connections in `without` are passed over. Whoever dies with rows in hand
        loses them after `hold` seconds.
        """
        free = self._free()
        candidates = self._waiting(older_than).where(free).with_only_columns(_row.seq).limit(limit)
        if without:
            candidates = candidates.where(_row.connection.not_in(list(without)))
        with self.engine.connect() as connection:
            numbers = list(connection.scalars(candidates))
        token, until = secrets.token_hex(16), self._ago(-hold)
        claimed: list[PendingJob] = []
        for chunk in _chunks(numbers):
            # The write comes first: a transaction that reads first cannot be upgraded on SQLite
            # when another process has written in between.
            taking = (
                update(job_outbox)
                .where(_row.seq.in_(chunk), _row.state == "pending", free)
                .values(claim=token, claimed_until=until)
            )
            claimed += self._take(taking, _row.seq.in_(chunk), token)
        return claimed

    def unclaim(self, ids: Sequence[JobId], hold: float = 0.0) -> None:
        """Give claimed rows back, to be tried again after so many seconds."""
        until = self._ago(-hold) if hold else None
        for chunk in _chunks(ids):
            statement = (
                update(job_outbox)
                .where(_row.id.in_(chunk), _row.state == "pending")
                .values(claim=None, claimed_until=until)
            )
            with self.engine.begin() as connection:
                connection.execute(statement)

    # ---- for the reconciler ----

    def dispatched(self, limit: int, *, older_than: float, after: int = 0) -> list[DispatchedJob]:
        """Return open rows dispatched over so many seconds ago, from `after` on, in order."""
        statement = (
            select(job_outbox)
            .where(self._overdue(older_than), _row.seq > after)
            .order_by(_row.seq)
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return [DispatchedJob(row.seq, _job(row)) for row in connection.execute(statement)]

    def claim_lost(self, ids: Sequence[JobId], *, older_than: float) -> list[PendingJob]:
        """Return those of the ids that are still open and overdue, counted as pushed now.

        Of several processes that ask for the same row one gets it; it is overdue again, and so
        another's, after the same number of seconds.
        """
        lost: list[PendingJob] = []
        for chunk in _chunks(ids):
            token = secrets.token_hex(16)
            taking = (
                update(job_outbox)
                .where(_row.id.in_(chunk), self._overdue(older_than))
                .values({**self._dispatched_now(), "claim": token})
            )
            lost += self._take(taking, _row.id.in_(chunk), token)
        return lost

    # ---- parts ----

    def _on(self, connection: Connection | None) -> AbstractContextManager[Connection]:
        return self.engine.begin() if connection is None else nullcontext(connection)

    def _take(self, taking: Any, among: ColumnElement[bool], token: str) -> list[PendingJob]:
        taken = select(job_outbox).where(among, _row.claim == token).order_by(_row.seq)
        with self.engine.begin() as connection:
            if not connection.execute(taking).rowcount:
                return []
            return [_job(row) for row in connection.execute(taken)]

    def _waiting(self, older_than: float) -> Select[Any]:
        return (
            select(job_outbox)
            .where(_row.state == "pending", _row.created_at <= self._ago(older_than))
            .order_by(_row.seq)
        )

    def _free(self) -> ColumnElement[bool]:
        return or_(_row.claimed_until.is_(None), _row.claimed_until < self._clock.now())

    def _overdue(self, older_than: float) -> ColumnElement[bool]:
        return and_(_row.state == "dispatched", _row.dispatched_at <= self._ago(older_than))

    def _dispatched_now(self) -> dict[str, Any]:
        return {
            "state": "dispatched",
            "dispatched_at": self._clock.now(),
            "pushes": _row.pushes + 1,
            "claim": None,
            "claimed_until": None,
        }

    def _ago(self, seconds: float) -> datetime:
        return self._clock.now() - timedelta(seconds=seconds)


_OPEN = ("pending", "dispatched")


def _values(record: OutboxRecord, now: datetime) -> dict[str, Any]:
    message = record.message
    return {
        "id": message.id,
        "connection": record.connection,
        "queue": message.queue,
        "job": record.job,
        "payload": message.payload,
        "tenant": record.tenant,
        "available_at": now + timedelta(seconds=message.delay),
        "state": "pending",
        "durable": record.durable,
        "created_at": now,
    }


def _job(row: Row[Any]) -> PendingJob:
    return PendingJob(
        id=row.id,
        connection=row.connection,
        queue=row.queue,
        job=row.job,
        payload=bytes(row.payload),
        available_at=_aware(row.available_at),
        durable=row.durable,
        pushes=row.pushes,
        tenant=row.tenant,
    )


def _aware(instant: datetime) -> datetime:
    # SQLite gives back what was written, UTC, without saying so.
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
