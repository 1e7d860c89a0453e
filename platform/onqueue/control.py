"""One job, from outside: how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from onqueue.checkpoint import read_progress
from onqueue.connections import QueueManager, current_manager
from onqueue.errors import UnsupportedByDriver

if TYPE_CHECKING:
    from onqueue.checkpoint import Progress
    from onqueue.contracts import JobId


@runtime_checkable
class ProgressQueue(Protocol):
    """A connection whose jobs can be watched."""

    def progress(self, job_id: JobId) -> bytes | None:
        """Return what a job last reported of itself."""
        ...


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
