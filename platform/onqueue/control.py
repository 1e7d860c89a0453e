"""One job, from outside: how far it is, and that it is to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from onqueue.checkpoint import read_progress
from onqueue.connections import QueueManager, current_manager
from onqueue.errors import UnsupportedByDriver
from onqueue.options import checked_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.checkpoint import Progress
    from onqueue.contracts import Cancelling, JobId
    from onqueue.options import Seconds


@runtime_checkable
class ProgressQueue(Protocol):
    """A connection whose jobs can be watched."""

    def progress(self, job_id: JobId) -> bytes | None:
        """Return what a job last reported of itself."""
        ...


@runtime_checkable
class CancellingQueue(Protocol):
    """A connection whose jobs can be cancelled."""

    def cancel(self, job_id: JobId, grace: float) -> Cancelling:
        """Remove a waiting job, or have the worker that runs it end its run."""
        ...


@runtime_checkable
class OpenRows(Protocol):
    """An outbox that can forget a job before its outcome."""

    def discard(self, ids: Sequence[JobId], connection_name: str | None = None) -> int:
        """Delete rows (of one connection) that have no outcome; return how many."""
        ...


GRACE = 10.0
"""Seconds that a running job has to end by itself."""


def cancel(
    job_id: JobId,
    connection: str | None = None,
    *,
    grace: Seconds = GRACE,
    manager: QueueManager | None = None,
) -> Cancelling:
    """Cancel a job: one that waits is removed, one that runs is told within a second.

    `self.cancelled` is true in a running job from then on. If it has not ended after `grace`,
    `JobCancelled` is raised in it, and five seconds later its process is killed. However it ends,
    its outcome is `cancelled`: its chain breaks, its batch counts it, its unique lock is free.
    A job that had done its work before it noticed has succeeded all the same.

    Returns "removed", "asked" (it runs), "unknown" (it has ended, or never was) or "moving" (it
    changed hands each time it was looked for: ask again). Raises `UnknownConnection`,
    `UnsupportedByDriver` or `BrokerUnavailable`.
    """
    chosen = manager or current_manager()
    queue = chosen.connection(connection)
    if not isinstance(queue, CancellingQueue):
        raise UnsupportedByDriver("cancel", queue.name, queue.config.driver, "cancelling")
    span = checked_seconds("cancel(grace=)", grace)
    # The broker first: whoever dies after that leaves a row behind, never a job without its guard.
    found = queue.cancel(job_id, span)
    outbox: object = chosen.outbox
    if found not in {"removed", "unknown"} or not isinstance(outbox, OpenRows):
        return found  # one that runs closes its row itself, with its outcome
    # A job that was not found here may be another connection's, and keeps its guard there.
    if not outbox.discard([job_id], None if found == "removed" else queue.name):
        return found
    # As long as there was a row, somebody may have pushed it: now nobody can any more.
    again = queue.cancel(job_id, span)
    return "removed" if again == "unknown" else again


def progress_of(
    job_id: JobId, connection: str | None = None, *, manager: QueueManager | None = None
) -> Progress | None:
    """Return what a job last reported of itself; None when it did not, or long ago.

    Raises `UnknownConnection`, `UnsupportedByDriver` or `BrokerUnavailable`.
    """
    queue = (manager or current_manager()).connection(connection)
    if not isinstance(queue, ProgressQueue):
        raise UnsupportedByDriver("progress_of", queue.name, queue.config.driver, "progress")
    return read_progress(queue.progress(job_id))
