"""The store of those who do not want one: it forgets at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.stores import ALL_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.contracts import JobId
    from onqueue.stores import FailedFilter, FailedGroup, FailedJob, Failure, PayloadEdit


class NullFailedJobs:
    """Keeps nothing; a failed job is only told by its event."""

    keeps_nothing = True

    def record(self, failed: FailedJob) -> None:
        """Forget the job."""

    def all(
        self, wanted: FailedFilter = ALL_FAILED, *, limit: int = 50, after: JobId | None = None
    ) -> list[FailedJob]:
        """Return nothing."""
        del wanted, limit, after
        return []

    def count(self, wanted: FailedFilter = ALL_FAILED) -> int:
        """Return 0."""
        del wanted
        return 0

    def groups(self, wanted: FailedFilter = ALL_FAILED, *, limit: int = 50) -> list[FailedGroup]:
        """Return nothing."""
        del wanted, limit
        return []

    def find(self, job_id: JobId) -> FailedJob | None:
        """Return None."""
        del job_id
        return None

    def failures(self, job_id: JobId) -> list[Failure]:
        """Return nothing."""
        del job_id
        return []

    def edits(self, job_id: JobId) -> list[PayloadEdit]:
        """Return nothing."""
        del job_id
        return []

    def forget(self, job_id: JobId) -> bool:
        """Return False: there was nothing to delete."""
        del job_id
        return False

    def flush(self, older_than: float | None = None) -> int:
        """Return 0."""
        del older_than
        return 0

    def retry(
        self,
        job_id: JobId,
        push: Callable[[FailedJob, str], bool],
        edit: PayloadEdit | None = None,
    ) -> bool:
        """Return False: there is nothing to retry."""
        del job_id, push, edit
        return False
