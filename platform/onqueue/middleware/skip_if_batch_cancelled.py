"""Leaving out the members of a cancelled batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.job_context import Order

if TYPE_CHECKING:
    from onqueue.job import Job
    from onqueue.middleware.pipeline import Next


class SkipIfBatchCancelled:
    """Skips the job when its batch was cancelled.

    The core ends such a job unrun by itself when it is picked; this looks once more, right before
    `handle`, for a batch that is cancelled while an outer middleware takes its time.
    """

    def __call__(self, job: Job, inner: Next) -> None:
        """Run the job, or skip it."""
        batch = job.batch
        if batch is not None and batch.cancelled:
            job.running("middleware").give(Order("skip"))
        else:
            inner(job)
