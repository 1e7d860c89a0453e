"""A job bound to a run without a worker, for tests of middleware."""

from typing import Any

from onqueue import Job
from onqueue.bus.inline import InlineLifeline
from onqueue.job_context import JobContext, running
from support.child_loop import LimitsDouble


def bound(
    job: Job, *, locks: Any = None, limits: LimitsDouble | None = None, job_id: str = "1"
) -> JobContext:
    """Bind a job to a run and return that; code inside `with` meets it as the running one."""
    context = JobContext(
        job_id=job_id,
        attempts=1,
        connection="c",
        queue="q",
        context={},
        lifeline=InlineLifeline(),
        locks=locks,
        limits=limits,
    )
    job.bind(context)
    running.set(context)
    return context
