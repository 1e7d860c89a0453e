"""A circuit breaker: after so many exceptions nobody tries for a while."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from onqueue.errors import LimitDefinitionError
from onqueue.job_context import Order
from onqueue.limits.gate import limits_of
from onqueue.limits.limit import Limit
from onqueue.middleware.errors_wanted import Errors, matcher
from onqueue.options import Seconds, checked_seconds
from onqueue.quotas import Quota

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.job import Job
    from onqueue.job_context import JobContext
    from onqueue.middleware.pipeline import Next

log = logging.getLogger("onqueue.middleware")


def _always(_: BaseException) -> bool:
    return True


def _never(_: BaseException) -> bool:
    return False


class ThrottlesExceptions:
    """Lets no job of a key start for the rest of a span in which so many exceptions were raised.

    Such jobs wait parked, which spends no attempt. A job that raises goes back to its queue after
    its `backoff`, its attempt spent; when that was the last one it fails with what it raised. A
    success forgets the exceptions counted so far.
    """

    def __init__(self, most: int = 10, span: Seconds = 600) -> None:
        """Close after `most` exceptions within a span that begins with the first."""
        limit = Limit.per(most, span)
        self._most, self._span = most, limit.span
        self._key: str | None = None
        self._is_by_job = False
        self._backoff = 0.0
        self._counts: Callable[[BaseException], bool] = _always
        self._deletes: Callable[[BaseException], bool] = _never
        self._fails: Callable[[BaseException], bool] = _never
        self._reports: Callable[[BaseException], bool] = _never

    def backoff(self, span: Seconds) -> Self:
        """Let a job that raised come back after a span; at once unless said."""
        self._backoff = checked_seconds("backoff()", span)
        return self

    def by(self, key: object) -> Self:
        """Count under a key, across job classes; unless said each class has its own."""
        self._key = str(key)
        return self

    def by_job(self) -> Self:
        """Count for each single job."""
        self._is_by_job = True
        return self

    def when(self, errors: Errors) -> Self:
        """Count these exceptions only; all others go on their way untouched."""
        self._counts = matcher("ThrottlesExceptions.when()", errors)
        return self

    def delete_when(self, errors: Errors) -> Self:
        """End the job as done after these, uncounted."""
        self._deletes = matcher("ThrottlesExceptions.delete_when()", errors)
        return self

    def fail_when(self, errors: Errors) -> Self:
        """Fail the job at once after these, uncounted."""
        self._fails = matcher("ThrottlesExceptions.fail_when()", errors)
        return self

    def report(self, errors: Errors | None = None) -> Self:
        """Log these exceptions (all unless said) with their traceback."""
        self._reports = _always if errors is None else matcher("report()", errors)
        return self

    def quota(self, job: Job) -> Quota:
        """Return what counts the job's exceptions."""
        if self._key is not None and self._is_by_job:
            raise LimitDefinitionError("ThrottlesExceptions", "choose either by() or by_job()")
        scope = f"job:{job.job_id}" if self._is_by_job else self._key
        scope = f"class:{job.name}" if scope is None else scope
        return Quota("faults", f"{scope}:{self._span:g}s", self._most, self._span)

    def __call__(self, job: Job, inner: Next) -> None:
        """Run the job, or let it wait until the span is over."""
        context, quota = job.running("middleware"), self.quota(job)
        limits = limits_of(context, job.name)
        if limits.admit([quota], context.job_id, context.queue) is not None:
            context.give(Order("park", quotas=(quota,)))
            return
        try:
            inner(job)
        except Exception as error:
            if not self._counts(error):
                raise
            self._take(context, quota, error)
        else:
            if context.order is None:
                limits.clear(quota)

    def _take(self, context: JobContext, quota: Quota, error: Exception) -> None:
        """Say what becomes of a job that raised."""
        if self._reports(error):
            log.warning("job %s raised", context.job_id, exc_info=error)
        if self._deletes(error):
            context.give(Order("delete"))
        elif self._fails(error):
            context.give(Order("fail", error=error))
        else:
            limits_of(context, "").hit(quota)
            context.give(Order("release", delay=self._backoff, error=error))
