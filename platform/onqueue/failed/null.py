"""The store of those who do not want one: it forgets at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.contracts import FailedJob, JobId


class NullFailedJobs:
    """Keeps nothing; a failed job is only told by its event."""

    def record(self, failed: FailedJob) -> None:
        """Forget the job."""

    def all(
        self, *, queue: str | None = None, limit: int = 50, after: str | None = None
    ) -> list[FailedJob]:
        """Return nothing."""
        del queue, limit, after
        return []

    def find(self, job_id: JobId) -> FailedJob | None:
        """Return None."""
        del job_id
        return None

    def forget(self, job_id: JobId) -> bool:
        """Return False: there was nothing to delete."""
        del job_id
        return False

    def flush(self, older_than: float | None = None) -> int:
        """Return 0."""
        del older_than
        return 0

    def retry(self, job_id: JobId, push: Callable[[FailedJob, str], bool]) -> bool:
        """Return False: there is nothing to retry."""
        del job_id, push
        return False
