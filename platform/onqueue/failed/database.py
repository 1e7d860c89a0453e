"""Failed jobs in SQL: one row a job, and a log of all its failures that is only appended to.

A retry has two phases, so that a crash anywhere neither loses nor doubles the job: the row is
marked with a token, the job is pushed `once` under that token, the row is deleted. Whoever repeats
it finds the token, and the broker refuses the second push. A job that fails again in between has
its row back without a token, and the rest of the old retry changes nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, create_engine, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from onqueue.clock import SystemClock
from onqueue.contracts import FailedJob
from onqueue.failed.fingerprint import fingerprint
from onqueue.failed.tables import failed_job_attempts, failed_jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine, Row

    from onqueue.contracts import Clock, JobId

_row = failed_jobs.c
_log = failed_job_attempts.c
_TRIES = 5
_ERROR_TYPE_LENGTH = 255
_LONGEST = 64 * 1024


@dataclass(slots=True, frozen=True)
class Failure:
    """One entry of a job's log; `failure` counts from 1."""

    failure: int
    attempts: int
    error_type: str
    error: str
    traceback: str
    fingerprint: str
    failed_at: datetime


class DatabaseFailedJobs:
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
        self, *, queue: str | None = None, limit: int = 50, after: str | None = None
    ) -> list[FailedJob]:
        """Return the newest first; `after` is the id of the last one seen (unknown: nothing)."""
        statement = select(failed_jobs).order_by(_row.failed_at.desc(), _row.id.desc()).limit(limit)
        if queue is not None:
            statement = statement.where(_row.queue == queue)
        with self._engine.connect() as connection:
            if after is not None:
                last = connection.scalar(select(_row.failed_at).where(_row.id == after))
                if last is None:
                    return []
                earlier = and_(_row.failed_at == last, _row.id < after)
                statement = statement.where(or_(_row.failed_at < last, earlier))
            return [_failed_job(row) for row in connection.execute(statement)]

    def count(self) -> int:
        """Return how many jobs are in the store."""
        with self._engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(failed_jobs)) or 0

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

    def forget(self, job_id: JobId) -> bool:
        """Delete one with its log; False when it was not there."""
        with self._engine.begin() as connection:
            gone = connection.execute(delete(failed_jobs).where(_row.id == job_id)).rowcount
            connection.execute(delete(failed_job_attempts).where(_log.job_id == job_id))
        return gone > 0

    def flush(self, older_than: float | None = None) -> int:
        """Delete all (or those older than so many seconds) with their logs; return how many jobs.

        What is being retried just now is left to its retry when an age is given.
        """
        jobs, entries = delete(failed_jobs), delete(failed_job_attempts)
        if older_than is not None:
            limit = self._clock.now() - timedelta(seconds=older_than)
            jobs = jobs.where(_row.failed_at < limit, _row.state == "failed")
            kept = select(_row.id)
            entries = entries.where(_log.failed_at < limit, _log.job_id.not_in(kept))
        with self._engine.begin() as connection:
            gone = connection.execute(jobs).rowcount
            connection.execute(entries)
        return gone

    def retry(self, job_id: JobId, push: Callable[[FailedJob, str], bool]) -> bool:
        """Push the job once under a token that survives a crash, then delete it.

        Returns False when there is no such job. What `push` raises goes through; the job stays
        and a later retry uses the same token.
        """
        found = self._begin_retry(job_id)
        if found is None:
            return False
        failed, token = found
        push(failed, token)
        self._end_retry(job_id, token)
        return True

    def _begin_retry(self, job_id: JobId) -> tuple[FailedJob, str] | None:
        mark = (
            update(failed_jobs)
            .where(_row.id == job_id, _row.state == "failed")
            .values(state="retrying", retry_token=secrets.token_hex(16))
        )
        with self._engine.begin() as connection:
            connection.execute(mark)
            row = connection.execute(select(failed_jobs).where(_row.id == job_id)).first()
        return (_failed_job(row), row.retry_token) if row else None

    def _end_retry(self, job_id: JobId, token: str) -> None:
        statement = delete(failed_jobs).where(_row.id == job_id, _row.retry_token == token)
        with self._engine.begin() as connection:
            connection.execute(statement)


def _record(connection: Connection, failed: FailedJob) -> None:
    error = _error_values(failed)
    job = {
        "connection": failed.connection,
        "queue": failed.queue,
        "payload": failed.payload,
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
    connection.execute(
        insert(failed_job_attempts).values(job_id=failed.id, failure=newest, **error)
    )


def _newest(connection: Connection, job_id: JobId) -> int:
    return connection.scalar(select(func.max(_log.failure)).where(_log.job_id == job_id)) or 0


def _error_values(failed: FailedJob) -> dict[str, Any]:
    # Of a long message the beginning tells, of a long traceback the end.
    error, trace = _storable(failed.error[:_LONGEST]), _storable(failed.traceback[-_LONGEST:])
    error_type = _storable(failed.error_type)[:_ERROR_TYPE_LENGTH]
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


def _storable(text: str) -> str:
    """Return the text without what databases refuse: an error may quote anything."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


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
