"""Failed jobs in SQL: one row a job, and a log of all its failures that is only appended to.

A retry has two phases, so that a crash anywhere neither loses nor doubles the job: the row is
marked with a token, the job is pushed `once` under that token, the row is deleted. Whoever repeats
it finds the token, and the broker refuses the second push. A job that fails again in between has
its row back without a token, and the rest of the old retry changes nothing.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    and_,
    create_engine,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from onqueue.clock import SystemClock
from onqueue.errors import EditConflict
from onqueue.failed import searching
from onqueue.failed.describing import storable
from onqueue.failed.fingerprint import fingerprint
from onqueue.failed.stepped import RetryInSteps
from onqueue.failed.tables import (
    SLICE,
    failed_job_attempts,
    failed_job_edits,
    failed_job_terms,
    failed_jobs,
    fill_terms,
    write_terms,
)
from onqueue.failed.terms import terms_of
from onqueue.stores import ALL_FAILED, FailedGroup, FailedJob, Failure, PayloadEdit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from onqueue.contracts import Clock, JobId
    from onqueue.stores import FailedFilter

_row = failed_jobs.c
_log = failed_job_attempts.c
_term = failed_job_terms.c
_edit = failed_job_edits.c
_TRIES = 5
_ERROR_TYPE_LENGTH = 255
_LONGEST = 64 * 1024


class DatabaseFailedJobs(RetryInSteps):
    """The store in the database that `engine` speaks to; its tables are in `failed.tables`."""

    def __init__(self, engine: Engine | str, clock: Clock | None = None) -> None:
        """Use the engine, or one made for an address; the clock tells ages for `flush`."""
        self._engine = create_engine(engine) if isinstance(engine, str) else engine
        self._clock: Clock = clock or SystemClock()

    def record(self, failed: FailedJob) -> None:
        """Write the job down; doing it twice for one id and attempt is harmless.

        A failure after a retry is a new one, whatever its attempt.
        """
        for left in reversed(range(_TRIES)):
            try:
                with self._engine.begin() as connection:
                    _record(connection, failed)
            except IntegrityError:
                # Another process recorded a failure of the same job at the same time.
                if not left:
                    raise
            else:
                return

    def all(
        self, wanted: FailedFilter = ALL_FAILED, *, limit: int = 50, after: JobId | None = None
    ) -> list[FailedJob]:
        """Return the newest first; `after` is the id of the last one seen (unknown: nothing)."""
        with self._engine.connect() as connection:
            place = None
            if after is not None:
                last = connection.scalar(select(_row.failed_at).where(_row.id == after))
                if last is None:
                    return []
                place = (last, after)
            return [_failed_job(row) for row in searching.page(connection, wanted, limit, place)]

    def count(self, wanted: FailedFilter = ALL_FAILED) -> int:
        """Return how many there are."""
        with self._engine.connect() as connection:
            return searching.count(connection, wanted)

    def groups(self, wanted: FailedFilter = ALL_FAILED, *, limit: int = 50) -> list[FailedGroup]:
        """Return them by their error's fingerprint, the largest group first."""
        with self._engine.connect() as connection:
            found = searching.groups(connection, wanted, limit)
        return [
            FailedGroup(
                fingerprint=group.fingerprint,
                job=newest.job,
                error_type=newest.error_type,
                error=newest.error,
                count=group.size,
                first_at=_aware(group.first_at),
                last_at=_aware(group.last_at),
                newest=newest.id,
            )
            for group, newest in found
        ]

    def find(self, job_id: JobId) -> FailedJob | None:
        """Return one job or None."""
        with self._engine.connect() as connection:
            row = connection.execute(select(failed_jobs).where(_row.id == job_id)).first()
        return _failed_job(row) if row else None

    def failures(self, job_id: JobId) -> list[Failure]:
        """Return every failure of a job, the oldest first, also those before a retry."""
        statement = select(failed_job_attempts).where(_log.job_id == job_id).order_by(_log.failure)
        with self._engine.connect() as connection:
            return [_failure(row) for row in connection.execute(statement)]

    def edits(self, job_id: JobId) -> list[PayloadEdit]:
        """Return what operators changed in a job's payload, the oldest first."""
        statement = select(failed_job_edits).where(_edit.job_id == job_id).order_by(_edit.number)
        with self._engine.connect() as connection:
            return [
                PayloadEdit(bytes(row.before), bytes(row.after), _aware(row.edited_at))
                for row in connection.execute(statement)
            ]

    def forget(self, job_id: JobId) -> bool:
        """Delete one with its log; False when it was not there."""
        with self._engine.begin() as connection:
            gone = connection.execute(delete(failed_jobs).where(_row.id == job_id)).rowcount
            _drop_terms(connection, [job_id])
            connection.execute(delete(failed_job_attempts).where(_log.job_id == job_id))
            connection.execute(delete(failed_job_edits).where(_edit.job_id == job_id))
        return gone > 0

    def flush(self, older_than: float | None = None) -> int:
        """Delete all (or those older than so many seconds) with their logs; return how many jobs.

        What is being retried just now is left to its retry when an age is given. What an earlier
        release, which knows no terms, recorded or left is made good then.
        """
        if older_than is None:
            return self._flush_all()
        limit = self._clock.now() - timedelta(seconds=older_than)
        gone = flushed = self._flush_some(limit)
        while flushed:
            flushed = self._flush_some(limit)
            gone += flushed
        self._drop_terms_left()
        fill_terms(self._engine)
        with self._engine.begin() as connection:
            old = delete(failed_job_attempts).where(_log.failed_at < limit)
            connection.execute(old.where(_is_gone(_log.job_id)))
            old = delete(failed_job_edits).where(_edit.edited_at < limit)
            connection.execute(old.where(_is_gone(_edit.job_id)))
        return gone

    def _drop_terms_left(self) -> None:
        """Delete terms without a job, slice by slice: an earlier release leaves them."""
        last = ""
        while True:
            left = select(_term.job_id).where(_term.job_id > last, _is_gone(_term.job_id))
            some = left.distinct().order_by(_term.job_id).limit(SLICE)
            with self._engine.connect() as connection:
                ids = connection.scalars(some).all()
            if not ids:
                return
            with self._engine.begin() as connection:
                _drop_terms(connection, ids)
            last = ids[-1]

    def _flush_all(self) -> int:
        with self._engine.begin() as connection:
            gone = connection.execute(delete(failed_jobs)).rowcount
            # SQLite lets nobody write meanwhile, and empties a table at once. Elsewhere a job may
            # have failed since then.
            is_alone = connection.dialect.name == "sqlite"
            for table in (failed_job_terms, failed_job_attempts, failed_job_edits):
                left = delete(table)
                connection.execute(left if is_alone else left.where(_is_gone(table.c.job_id)))
        return gone

    def _flush_some(self, limit: datetime) -> int:
        """Delete a slice of the old ones: others need not wait until all are gone."""
        is_old = and_(_row.failed_at < limit, _row.state == "failed")
        with self._engine.connect() as connection:
            some = select(_row.id).where(is_old).order_by(_row.failed_at).limit(SLICE)
            ids = connection.scalars(some).all()
        if not ids:
            return 0
        with self._engine.begin() as connection:
            # One that failed anew since then, or is being retried, is not old any more.
            jobs = delete(failed_jobs).where(_row.id.in_(ids), is_old)
            gone = connection.execute(jobs).rowcount
            _drop_terms(connection, ids)
        return gone

    def _begin_retry(self, job_id: JobId, edit: PayloadEdit | None) -> tuple[FailedJob, str] | None:
        mark = (
            update(failed_jobs)
            .where(_row.id == job_id, _row.state == "failed")
            .values(state="retrying", retry_token=secrets.token_hex(16))
        )
        with self._engine.begin() as connection:
            is_first = connection.execute(mark).rowcount > 0
            row = connection.execute(select(failed_jobs).where(_row.id == job_id)).first()
            if row is None:
                return None
            failed = _failed_job(row)
            if edit is not None and failed.payload != edit.after:
                if not is_first or failed.payload != edit.before:
                    raise EditConflict(job_id)
                self._write_edit(connection, job_id, edit)
                failed = replace(failed, payload=edit.after)
        return failed, row.retry_token

    def _write_edit(self, connection: Connection, job_id: JobId, edit: PayloadEdit) -> None:
        values = {"job_id": job_id, "before": edit.before, "after": edit.after}
        connection.execute(insert(failed_job_edits).values(**values, edited_at=self._clock.now()))
        connection.execute(update(failed_jobs).where(_row.id == job_id).values(payload=edit.after))

    def _give_up_retry(self, job_id: JobId, token: str) -> None:
        statement = (
            update(failed_jobs)
            .where(_row.id == job_id, _row.retry_token == token)
            .values(state="failed", retry_token=None)
        )
        with self._engine.begin() as connection:
            connection.execute(statement)

    def _end_retry(self, job_id: JobId, token: str) -> None:
        statement = delete(failed_jobs).where(_row.id == job_id, _row.retry_token == token)
        with self._engine.begin() as connection:
            if connection.execute(statement).rowcount:
                _drop_terms(connection, [job_id])


def _record(connection: Connection, failed: FailedJob) -> None:
    error = _error_values(failed)
    job = {
        "connection": failed.connection,
        "queue": failed.queue,
        "payload": failed.payload,
        "tags": f"[{','.join(map(_tag, failed.tags))}]" if failed.tags else None,
        "state": "failed",
        "retry_token": None,
    }
    # A new failure of a job whose row is there: it ran again although nobody had deleted the row.
    again = connection.execute(
        update(failed_jobs)
        .where(
            _row.id == failed.id,
            or_(_row.state == "retrying", _row.attempts != failed.attempts),
        )
        .values(**job, **error, failure=_row.failure + 1)
    ).rowcount
    known = connection.scalar(select(_row.failure).where(_row.id == failed.id))
    if known is not None and not again:
        return
    newest = known if known is not None else _newest(connection, failed.id) + 1
    if known is None:
        values = {"id": failed.id, "failure": newest, **job, **error}
        connection.execute(insert(failed_jobs).values(values))
    # Also without a row: an earlier release deletes that alone.
    connection.execute(delete(failed_job_terms).where(_term.job_id == failed.id))
    terms = terms_of(error["error_type"], error["error"], failed.tags)
    entry = {"job_id": failed.id, "failed_at": failed.failed_at}
    write_terms(connection, [{**entry, "term": term} for term in terms])
    connection.execute(
        insert(failed_job_attempts).values(job_id=failed.id, failure=newest, **error)
    )


def _drop_terms(connection: Connection, ids: Sequence[JobId]) -> None:
    """Delete the terms of jobs that are gone, but of none that was recorded anew meanwhile."""
    connection.execute(
        delete(failed_job_terms).where(_term.job_id.in_(ids), _is_gone(_term.job_id))
    )


def _is_gone(job_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that there is no failed job of this id."""
    return ~exists(select(_row.id).where(_row.id == job_id))


def _newest(connection: Connection, job_id: JobId) -> int:
    return connection.scalar(select(func.max(_log.failure)).where(_log.job_id == job_id)) or 0


def _error_values(failed: FailedJob) -> dict[str, Any]:
    # Of a long message the beginning tells, of a long traceback the end.
    error, trace = storable(failed.error[:_LONGEST]), storable(failed.traceback[-_LONGEST:])
    error_type = storable(failed.error_type)[:_ERROR_TYPE_LENGTH]
    return {
        "job": failed.job,
        "tenant": failed.tenant,
        "error_type": error_type,
        "error": error,
        "traceback": trace,
        "fingerprint": fingerprint(failed.job, error_type, error, trace),
        "attempts": failed.attempts,
        "failed_at": failed.failed_at,
    }


def _tag(text: str) -> str:
    # As JSON text no tag is a part of another one.
    return json.dumps(storable(text), ensure_ascii=False)


def _failed_job(row: Row[Any]) -> FailedJob:
    return FailedJob(
        id=row.id,
        connection=row.connection,
        queue=row.queue,
        job=row.job,
        payload=bytes(row.payload),
        error_type=row.error_type,
        error=row.error,
        traceback=row.traceback,
        attempts=row.attempts,
        failed_at=_aware(row.failed_at),
        tenant=row.tenant,
        tags=tuple(json.loads(row.tags)) if row.tags else (),
        fingerprint=row.fingerprint,
        is_retrying=row.state == "retrying",
    )


def _failure(row: Row[Any]) -> Failure:
    return Failure(
        failure=row.failure,
        attempts=row.attempts,
        error_type=row.error_type,
        error=row.error,
        traceback=row.traceback,
        fingerprint=row.fingerprint,
        failed_at=_aware(row.failed_at),
    )


def _aware(instant: datetime) -> datetime:
    # SQLite gives back what was written, UTC, without saying so.
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
