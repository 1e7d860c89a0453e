"""Leaving a job out, by a condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from onqueue.job_context import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.job import Job
    from onqueue.middleware.pipeline import Next


class Skip:
    """Ends the job as skipped when its condition holds; made by `when` and `unless`."""

    def __init__(self, condition: object | Callable[[Any], object]) -> None:
        """Take a value, or a callable that gets the job."""
        self._condition = condition

    @classmethod
    def when(cls, condition: object | Callable[[Any], object]) -> Self:
        """Skip when the value is true, or what the callable returns for the job."""
        return cls(condition)

    @classmethod
    def unless(cls, condition: object | Callable[[Any], object]) -> Self:
        """Skip when the value is false, or what the callable returns for the job."""
        return cls(lambda job: not _value(condition, job))

    def __call__(self, job: Job, inner: Next) -> None:
        """Run the job, or skip it."""
        if _value(self._condition, job):
            job.running("middleware").give(Order("skip"))
        else:
            inner(job)


def _value(condition: object, job: Job) -> object:
    return condition(job) if callable(condition) else condition
