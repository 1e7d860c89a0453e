"""Middleware around a job, folded into one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onqueue.job import Job

Next = Callable[["Job"], None]
Middleware = Callable[["Job", Next], Any]
"""Gets the job and what comes next; not calling that skips the job."""


def run_pipeline(job: Job, stages: Sequence[Middleware], destination: Next) -> bool:
    """Send the job through the stages, outermost first; return whether it got to the end."""
    if not stages:
        destination(job)
        return True
    has_arrived = False

    def arrive(arrived: Job) -> None:
        nonlocal has_arrived
        has_arrived = True
        destination(arrived)

    step: Next = arrive
    for stage in reversed(stages):
        step = _wrapped(stage, step)
    step(job)
    return has_arrived


def _wrapped(stage: Middleware, inner: Next) -> Next:
    def step(job: Job) -> None:
        stage(job, inner)

    return step
