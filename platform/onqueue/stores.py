"""What stores owe the core: that of failed jobs, the outbox, and the transactions it writes in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from onqueue.contracts import JobId, Message

OutboxState: TypeAlias = Literal["pending", "dispatched", "done", "failed"]


@dataclass(slots=True, frozen=True)
class FailedJob:
    """A job that failed for good; `job` is its name on the wire.

    What a store adds is not compared: the `fingerprint` of the error, and whether a retry of the
    job has begun and not ended.
    """

    id: JobId
    connection: str
    queue: str
    job: str
    payload: bytes
    error_type: str
    error: str
    traceback: str
    attempts: int
    failed_at: datetime
    tenant: str | None = None
    tags: tuple[str, ...] = ()
    fingerprint: str = field(default="", compare=False)
    is_retrying: bool = field(default=False, compare=False)


@dataclass(slots=True, frozen=True)
class FailedFilter:
    """Which failed jobs are meant: those that fit all that is given. Empty: all.

    `group` is the beginning of a fingerprint. `error` has words, each of which begins one of the
    error's type or message (in any letters; no word: nothing fits; more than 16: the look raises
    `ValueError`). `since` and `until` both belong to the span.
    """

    connection: str = ""
    queue: str = ""
    job: str = ""
    tenant: str = ""
    tag: str = ""
    group: str = ""
    error: str = ""
    since: datetime | None = None
    until: datetime | None = None


ALL_FAILED = FailedFilter()


@dataclass(slots=True, frozen=True)
class FailedGroup:
    """Failed jobs of one cause; `error_type`, `error` and `newest` (an id) are its newest's."""

    fingerprint: str
    job: str
    error_type: str
    error: str
    count: int
    first_at: datetime
    last_at: datetime
    newest: JobId


@dataclass(slots=True, frozen=True)
class Failure:
    """One entry of a failed job's log; `failure` counts from 1."""

    failure: int
    attempts: int
    error_type: str
    error: str
    traceback: str
    fingerprint: str
    failed_at: datetime


@dataclass(slots=True, frozen=True)
class PayloadEdit:
    """A payload before and after an operator changed it, and when that was (None: not yet)."""

    before: bytes
    after: bytes
    edited_at: datetime | None = None


@dataclass(slots=True, frozen=True)
class OutboxRecord:
    """A job as it is written to the outbox."""

    message: Message
    connection: str
    job: str
    tenant: str | None = None
    durable: bool = False


@dataclass(slots=True, frozen=True)
class PendingJob:
    """A row of the outbox that a relay or a reconciler may push."""

    id: JobId
    connection: str
    queue: str
    job: str
    payload: bytes
    available_at: datetime
    durable: bool
    pushes: int = 0
    tenant: str | None = None


class FailedJobs(Protocol):
    """The store of jobs that failed for good, with a log of their failures that only grows."""

    def record(self, failed: FailedJob) -> None:
        """Write the job down; doing it twice for one id and attempt is harmless."""
        ...

    def all(
        self, wanted: FailedFilter = ALL_FAILED, *, limit: int = 50, after: JobId | None = None
    ) -> list[FailedJob]:
        """Return the newest first; `after` is the id of the last one seen (unknown: nothing)."""
        ...

    def count(self, wanted: FailedFilter = ALL_FAILED) -> int:
        """Return how many there are."""
        ...

    def groups(self, wanted: FailedFilter = ALL_FAILED, *, limit: int = 50) -> list[FailedGroup]:
        """Return them by their error's fingerprint, the largest group first."""
        ...

    def find(self, job_id: JobId) -> FailedJob | None:
        """Return one job or None."""
        ...

    def failures(self, job_id: JobId) -> list[Failure]:
        """Return every failure of a job, the oldest first, also those before a retry."""
        ...

    def edits(self, job_id: JobId) -> list[PayloadEdit]:
        """Return what operators changed in a job's payload, the oldest first."""
        ...

    def forget(self, job_id: JobId) -> bool:
        """Delete one with its log; False when it was not there."""
        ...

    def flush(self, older_than: float | None = None) -> int:
        """Delete all (or those older than so many seconds) with their logs; return how many.

        What is being retried just now is left to its retry when an age is given.
        """
        ...

    def retry(
        self,
        job_id: JobId,
        push: Callable[[FailedJob, str], bool],
        edit: PayloadEdit | None = None,
    ) -> bool:
        """Push the job once under a token that survives a crash, then delete it.

        Returns False when there is no such job. What `push` raises goes through; the job stays
        and a later retry uses the same token, unless it raised `RetryRefused`, which tells that
        nothing was pushed. With `edit` the payload is changed first, and the old one kept in the
        log; raises `EditConflict` when it is neither `before` nor `after`, or is being retried.
        """
        ...


class Transaction(Protocol):
    """An open transaction of the application, as the dispatcher sees it."""

    @property
    def connection(self) -> Any:
        """The handle on which an outbox row becomes part of the transaction."""
        ...

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once when the outermost transaction committed, never when rolled back.

        What the callback raises is logged and goes no further: the commit stands.
        """
        ...


class Transactions(Protocol):
    """Tells whether a transaction is open here and now."""

    def current(self) -> Transaction | None:
        """Return the open transaction of this context, None when there is none."""
        ...


class Outbox(Protocol):
    """Jobs written with the business transaction. `connection` None: one of the outbox's own."""

    def add(
        self,
        connection: Any | None,
        message: Message,
        *,
        connection_name: str,
        job: str,
        tenant: str | None,
        durable: bool,
    ) -> None:
        """Write one job as pending."""
        ...

    def add_many(self, connection: Any | None, records: Sequence[OutboxRecord]) -> None:
        """Write several jobs as pending, in one statement."""
        ...

    def mark_dispatched(self, ids: Sequence[JobId]) -> None:
        """Tell that the broker has them: rows not durable are deleted, durable ones kept."""
        ...

    def mark_outcome(self, job_id: JobId, outcome: Literal["done", "failed"]) -> None:
        """Tell how a durable job ended; unknown ids are no error."""
        ...

    def state(self, job_id: JobId) -> OutboxState | None:
        """Return the row's state, None when there is no row."""
        ...

    def pending(self, limit: int, older_than: float) -> list[PendingJob]:
        """Return the oldest rows that wait for their push for more than so many seconds."""
        ...

    def prune(self, older_than: float) -> int:
        """Delete ended rows older than so many seconds; return how many."""
        ...
