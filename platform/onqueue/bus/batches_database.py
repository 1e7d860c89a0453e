"""Batches in SQL: a ledger of members whose entries move once, and figures that move with them.

A member's end is written here before its broker forgets it, so it is never lost and counts once,
however often it is written. Callbacks are pushed right after, `once` and under their own ids: who
dies in between leaves the member with its broker, and whoever runs it again pushes them again,
which changes nothing. What an operator takes from a queue by hand is not counted: cancel its batch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import create_engine, delete, func, insert, or_, select, update

from onqueue.bus.batch_tables import job_batch_members, job_batches
from onqueue.bus.plan_codec import message_from, message_parts
from onqueue.clock import SystemClock
from onqueue.contracts import ONCE_WINDOW
from onqueue.errors import ConfigurationError
from onqueue.payload_values import Writer, read_value
from onqueue.plans import BatchPlan, BatchState, ChainPlan
from onqueue.pushing import push_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Engine, Row

    from onqueue.connections import QueueManager
    from onqueue.contracts import ChainingQueue, Clock, JobId, Message
    from onqueue.plans import BatchId, CallbackKind, ChainEdit

_batch = job_batches.c
_member = job_batch_members.c
_NAMES = ("pending", "succeeded", "failed", "skipped", "cancelled", "broken")
_COLUMNS = dict(zip("psfkcb", _NAMES, strict=True))
_LETTERS = {**dict(zip(_NAMES, "psfkcb", strict=True)), "expired": "k"}
_FINAL = ("s", "k")


class DatabaseBatches:
    """The batches of all connections, in the database that `engine` speaks to."""

    def __init__(self, engine: Engine | str, clock: Clock | None = None) -> None:
        """Use the engine, or one made for an address."""
        self.engine = create_engine(engine) if isinstance(engine, str) else engine
        self.clock: Clock = clock or SystemClock()

    def of(self, manager: QueueManager, connection: str) -> ConnectionBatches:
        """Return the batches whose jobs run on one connection."""
        return ConnectionBatches(self, manager, connection)


@dataclass(slots=True)
class _Entry:
    member_id: str
    chain_id: str = ""
    place: float = 0.0
    stops: bool = False


class ConnectionBatches:
    """What `stores.BatchStore` asks for, and what workers tell about their members."""

    def __init__(self, batches: DatabaseBatches, manager: QueueManager, connection: str) -> None:
        """Push to the manager's connections."""
        self._engine = batches.engine
        self._clock = batches.clock
        self._manager = manager
        self._connection = connection

    # ---- what a dispatcher wants ----

    def start_batch(self, plan: BatchPlan) -> bool:
        """Write the batch down and push its members; False when it was started before.

        When the broker takes only some of them, the batch is cancelled: those end unrun.
        """
        entries = list(_entries(plan.members))
        with self._engine.begin() as connection:
            if connection.scalar(select(_batch.id).where(_batch.id == plan.id)) is not None:
                return False
            connection.execute(insert(job_batches).values(self._row(plan, len(entries))))
            _insert(connection, plan.id, entries)
        try:
            self._tell(plan.id)
            self._push_members(plan.id, plan.members)
        except Exception:
            self.cancel_batch(plan.id)
            raise
        return True

    def add_to_batch(self, batch_id: BatchId, members: Sequence[Message | ChainPlan]) -> int:
        """Add members; return how many jobs, 0 when the batch has ended or is unknown."""
        entries = list(_entries(members))
        with self._engine.begin() as connection:
            row = _locked(connection, batch_id)
            if row is None or row.finished_at is not None:
                return 0
            self._grow(connection, batch_id, entries)
        self._push_members(batch_id, members)
        return len(entries)

    def cancel_batch(self, batch_id: BatchId) -> bool:
        """Let waiting members end unrun; False when it has ended or was cancelled before."""
        statement = (
            update(job_batches)
            .where(
                _batch.id == batch_id, _batch.cancelled_at.is_(None), _batch.finished_at.is_(None)
            )
            .values(cancelled_at=self._clock.now(), cause="user")
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount > 0

    def forget_batch(self, batch_id: BatchId) -> bool:
        """Delete what is known of the batch; its jobs stay. False when it was not there."""
        with self._engine.begin() as connection:
            connection.execute(delete(job_batch_members).where(_member.batch_id == batch_id))
            gone = connection.execute(delete(job_batches).where(_batch.id == batch_id)).rowcount
        return gone > 0

    def batch(self, batch_id: BatchId) -> BatchState | None:
        """Return how the batch stands."""
        with self._engine.connect() as connection:
            row = connection.execute(select(job_batches).where(_batch.id == batch_id)).first()
        return None if row is None or row.connection != self._connection else _state(row)

    def batches(self, after: BatchId | None = None, limit: int = 50) -> list[BatchState]:
        """Return the newest first; `after` is the id of the last one seen (unknown: nothing)."""
        mine = select(job_batches).where(_batch.connection == self._connection)
        newest = mine.order_by(_batch.created_at.desc(), _batch.id.desc()).limit(limit)
        with self._engine.connect() as connection:
            if after is not None:
                last = connection.scalar(select(_batch.created_at).where(_batch.id == after))
                if last is None:
                    return []
                same = (_batch.created_at == last) & (_batch.id < after)
                newest = newest.where(or_(_batch.created_at < last, same))
            return [_state(row) for row in connection.execute(newest)]

    def failed_members(self, batch_id: BatchId) -> list[JobId]:
        """Return the members that have failed and were not retried, sorted."""
        failed = select(_member.member_id).where(_member.batch_id == batch_id, _member.state == "f")
        with self._engine.connect() as connection:
            return list(connection.scalars(failed.order_by(_member.member_id)))

    # ---- what a worker tells ----

    def is_cancelled(self, batch_id: BatchId, member_id: JobId) -> bool:
        """Tell whether a member is to end unrun; one that is retried runs all the same."""
        wanted = select(_member.member_id).where(
            *(_member.batch_id == batch_id, _member.member_id == member_id, _member.state == "p"),
            *(_batch.id == _member.batch_id, _batch.cancelled_at.is_not(None)),
        )
        with self._engine.connect() as connection:
            return connection.execute(wanted).first() is not None

    def settle(
        self, batch_id: BatchId, member_id: JobId, outcome: str, edit: ChainEdit | None = None
    ) -> None:
        """Write down how a member ended, once, and push the callbacks that are due by then.

        `edit` is what it adds to its chain. Members that nobody knows change nothing.
        """
        with self._engine.begin() as connection:
            row = _locked(connection, batch_id)
            if row is None:
                return
            self._move(connection, row, member_id, _LETTERS[outcome], edit)
        tells = outcome == "succeeded" or (outcome == "failed" and row.allow_failures)
        self._tell(batch_id, member_id if tells else "")

    # ---- the ledger ----

    def _move(
        self, connection: Connection, row: Row[Any], member_id: str, to: str, edit: ChainEdit | None
    ) -> None:
        at = (_member.batch_id == row.id) & (_member.member_id == member_id)
        member = connection.execute(select(job_batch_members).where(at)).first()
        if member is None or member.state == to or member.state in _FINAL:
            return
        connection.execute(update(job_batch_members).where(at).values(state=to))
        change = {_COLUMNS[member.state]: -1, _COLUMNS[to]: 1}
        if edit is not None and to == "s":
            self._grow(connection, row.id, _linked(connection, member, edit))
        stops = to in {"f", "c"} or (to == "k" and member.stops)
        if member.chain_id and stops:
            self._move_rest(connection, member, "p", "b", change)
        elif member.chain_id and to == "s" and member.state != "p":
            self._move_rest(connection, member, "b", "p", change)
        self._count(connection, row, change, has_failed=to == "f")

    def _move_rest(
        self, connection: Connection, member: Row[Any], was: str, to: str, change: dict[str, int]
    ) -> None:
        """Let the links behind a member be broken, or pending again."""
        rest = update(job_batch_members).where(
            *(_member.batch_id == member.batch_id, _member.chain_id == member.chain_id),
            *(_member.place > member.place, _member.state == was),
        )
        moved = connection.execute(rest.values(state=to)).rowcount
        for letter, sign in ((was, -moved), (to, moved)):
            change[_COLUMNS[letter]] = change.get(_COLUMNS[letter], 0) + sign

    def _count(
        self, connection: Connection, row: Row[Any], change: dict[str, int], *, has_failed: bool
    ) -> None:
        now = self._clock.now()
        values: dict[str, Any] = {name: _batch[name] + by for name, by in change.items() if by}
        if has_failed:
            values["has_failed"] = True
            if not row.allow_failures and row.cancelled_at is None:
                values.update(cancelled_at=now, cause="failure")
        connection.execute(update(job_batches).where(_batch.id == row.id).values(values))
        ended = (_batch.id == row.id, _batch.pending == 0, _batch.finished_at.is_(None))
        connection.execute(update(job_batches).where(*ended).values(finished_at=now))
        again = (_batch.id == row.id, _batch.pending > 0, _batch.finished_at.is_not(None))
        connection.execute(update(job_batches).where(*again).values(finished_at=None))

    def _grow(self, connection: Connection, batch_id: str, entries: Sequence[_Entry]) -> None:
        _insert(connection, batch_id, entries)
        more = len(entries)
        values = {"total": _batch.total + more, "pending": _batch.pending + more}
        connection.execute(update(job_batches).where(_batch.id == batch_id).values(values))

    def _row(self, plan: BatchPlan, total: int) -> dict[str, Any]:
        parts = {
            kind: [message_parts(message) for message in messages]
            for kind, messages in plan.callbacks.items()
        }
        return {
            **dict.fromkeys(_COLUMNS.values(), 0),
            "id": plan.id,
            "connection": self._connection,
            "name": plan.name,
            "total": total,
            "pending": total,
            "allow_failures": plan.allow_failures,
            "has_failed": False,
            "cause": "",
            "created_at": plan.created_at,
            "finished_at": None if total else self._clock.now(),
            "context": json.dumps(dict(plan.context)),
            "callbacks": json.dumps(Writer("batch", "callbacks", {}).write(parts, "callbacks")),
            "told": "",
            "touched": 0,
        }

    # ---- pushing ----

    def _push_members(self, batch_id: str, members: Sequence[Message | ChainPlan]) -> None:
        queue = self._manager.connection(self._connection)
        jobs = [member for member in members if not isinstance(member, ChainPlan)]
        if jobs:
            for loser in push_all(queue, jobs).owners:
                self.settle(batch_id, loser, "skipped")
        for member in members:
            if isinstance(member, ChainPlan):
                cast("ChainingQueue", queue).start_chain(member)

    def _tell(self, batch_id: str, member_id: str = "") -> None:
        """Push what is due and not told yet; of a member that ended, the progress."""
        with self._engine.connect() as connection:
            row = connection.execute(select(job_batches).where(_batch.id == batch_id)).first()
        if row is None or row.callbacks == "{}":
            return
        callbacks = read_value(json.loads(row.callbacks), {})
        told = set(row.told.split(","))
        due = [kind for kind in _due(row) if kind in callbacks and kind not in told]
        for kind in due:
            self._push_callbacks([message_from(parts) for parts in callbacks[kind]])
        if member_id:
            anew = [message_from(parts) for parts in callbacks.get("progress", ())]
            self._push_callbacks([replace(one, id=_derived(one.id, member_id)) for one in anew])
        if due:
            self._mark_told(batch_id, due)

    def _push_callbacks(self, messages: Sequence[Message]) -> None:
        for message in messages:
            target = self._manager.connection(message.connection or self._connection)
            push_all(target, [replace(message, connection="", once=ONCE_WINDOW)])

    def _mark_told(self, batch_id: str, kinds: Sequence[str]) -> None:
        with self._engine.begin() as connection:
            row = _locked(connection, batch_id)
            if row is not None:
                told = ",".join(sorted({*row.told.split(","), *kinds} - {""}))
                statement = update(job_batches).where(_batch.id == batch_id).values(told=told)
                connection.execute(statement)


def _entries(members: Iterable[Message | ChainPlan]) -> Iterator[_Entry]:
    for member in members:
        if not isinstance(member, ChainPlan):
            yield _Entry(member.id)
            continue
        for place, link in enumerate(member.links):
            if isinstance(link, BatchPlan) or (link.tie is not None and link.tie.claim is not None):
                problem = (
                    "a batch or a unique job inside one of its chains cannot be counted by the "
                    "'database' store: keep batches in their broker"
                )
                raise ConfigurationError("A batch", [problem])
            yield _Entry(link.id, member.id, float(place), member.on_skip == "stop")


def _linked(connection: Connection, member: Row[Any], edit: ChainEdit) -> list[_Entry]:
    """Return the entries of links that a link adds, each at its place in the chain."""
    chain = (_member.batch_id == member.batch_id) & (_member.chain_id == member.chain_id)
    last = connection.scalar(select(func.max(_member.place)).where(chain)) or 0.0
    behind = select(func.min(_member.place)).where(chain, _member.place > member.place)
    after = connection.scalar(behind) or member.place + 1
    step = (after - member.place) / (len(edit.prepend) + 1)
    first = [
        _Entry(link.id, member.chain_id, member.place + step * number, member.stops)
        for number, link in enumerate(edit.prepend, 1)
    ]
    return first + [
        _Entry(link.id, member.chain_id, last + number + 1, member.stops)
        for number, link in enumerate(edit.append, 1)
    ]


def _insert(connection: Connection, batch_id: str, entries: Sequence[_Entry]) -> None:
    rows = [
        {
            "batch_id": batch_id,
            "member_id": entry.member_id,
            "state": "p",
            "chain_id": entry.chain_id,
            "place": entry.place,
            "stops": entry.stops,
        }
        for entry in entries
    ]
    if rows:
        connection.execute(insert(job_batch_members), rows)


def _locked(connection: Connection, batch_id: str) -> Row[Any] | None:
    """Return the batch's row; until the transaction ends it is nobody else's."""
    touch = update(job_batches).where(_batch.id == batch_id).values(touched=_batch.touched + 1)
    connection.execute(touch)
    return connection.execute(select(job_batches).where(_batch.id == batch_id)).first()


def _due(row: Row[Any]) -> list[CallbackKind]:
    due: list[CallbackKind] = ["before"]
    if row.has_failed:
        due.append("catch")
    if row.finished_at is not None:
        bad = row.failed + row.broken + row.cancelled
        if row.cause != "user" and (row.allow_failures or not bad):
            due.append("then")
        due.append("finally")
    return due


def _derived(callback_id: str, member_id: str) -> str:
    return hashlib.sha256(f"{callback_id}{member_id}".encode()).hexdigest()[:32]


def _state(row: Row[Any]) -> BatchState:
    return BatchState(
        id=row.id,
        name=row.name,
        total=row.total,
        pending=row.pending,
        succeeded=row.succeeded,
        failed=row.failed,
        skipped=row.skipped,
        cancelled=row.cancelled,
        broken=row.broken,
        allow_failures=row.allow_failures,
        created_at=_aware(row.created_at),
        cancelled_at=_aware(row.cancelled_at) if row.cancelled_at else None,
        finished_at=_aware(row.finished_at) if row.finished_at else None,
        context=json.loads(row.context),
    )


def _aware(instant: datetime) -> datetime:
    # SQLite gives back what was written, UTC, without saying so.
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
