"""A retry in two steps, for stores that outlive a crash: mark with a token, push, then delete.

A process that dies after the push leaves the job marked: whoever retries it next pushes under the
same token, which the queue takes once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from onqueue.errors import RetryRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.contracts import JobId
    from onqueue.stores import FailedJob, PayloadEdit


class RetryInSteps(ABC):
    """What a durable store of failed jobs retries by; the steps are the store's own."""

    def retry(
        self,
        job_id: JobId,
        push: Callable[[FailedJob, str], bool],
        edit: PayloadEdit | None = None,
    ) -> bool:
        """Push the job once under a token that survives a crash, then delete it.

        Returns False when there is no such job. What `push` raises goes through; the job stays
        and a later retry uses the same token. Raises `EditConflict` as the contract says.
        """
        found = self._begin_retry(job_id, edit)
        if found is None:
            return False
        failed, token = found
        try:
            push(failed, token)
        except RetryRefused:
            self._give_up_retry(job_id, token)
            raise
        self._end_retry(job_id, token)
        return True

    @abstractmethod
    def _begin_retry(self, job_id: JobId, edit: PayloadEdit | None) -> tuple[FailedJob, str] | None:
        """Mark the job, edited, and return it with its token; None when there is none."""

    @abstractmethod
    def _give_up_retry(self, job_id: JobId, token: str) -> None:
        """Take the mark back: nothing was pushed."""

    @abstractmethod
    def _end_retry(self, job_id: JobId, token: str) -> None:
        """Delete the job: it was pushed under this token."""
