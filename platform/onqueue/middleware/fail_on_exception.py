"""Exceptions after which another attempt is of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.job_context import Order
from onqueue.middleware.errors_wanted import Errors, matcher

if TYPE_CHECKING:
    from onqueue.job import Job
    from onqueue.middleware.pipeline import Next


class FailOnException:
    """Fails the job at once when it raises one of these; the exception is told as any other."""

    def __init__(self, errors: Errors) -> None:
        """Take exception classes, or a callable that gets the exception."""
        self._is_meant = matcher("FailOnException", errors)

    def __call__(self, job: Job, inner: Next) -> None:
        """Run the job; what it raises goes on its way."""
        try:
            inner(job)
        except Exception as error:
            if self._is_meant(error):
                job.running("middleware").give(Order("fail", error=error))
            raise
