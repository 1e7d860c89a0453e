"""Middleware around a job, folded into one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from onqueue.errors import NotMiddleware

if TYPE_CHECKING:
    from onqueue.job import Job

Next = Callable[["Job"], None]
Middleware = Callable[["Job", Next], Any]
"""Gets the job and what comes next; not calling that skips the job."""

MOST_SOUND = 1000
_sound: set[type] = set()
"""The types of stages found callable: whether something can be called is a matter of its type."""


def run_pipeline(job: Job, stages: Sequence[Middleware], destination: Next) -> bool:
    """Send the job through the stages, outermost first; return whether it got to the end.

    Raises `NotMiddleware` before anything runs when one of them is none.
    """
    if not stages and stages is not None:
        destination(job)
        return True
    has_arrived = False

    def arrive(arrived: Job) -> None:
        nonlocal has_arrived
        has_arrived = True
        destination(arrived)

    step: Next = arrive
    outermost, *others = _checked(job, stages)
    for stage in reversed(others):
        step = partial(_call, stage, step)
    _call(outermost, step, job)
    return has_arrived


def _checked(job: Job, given: Any) -> Sequence[Middleware]:
    """Return what an author's `middleware()` returned, held to what it must be."""
    if type(given) is not list and (not isinstance(given, Sequence) or isinstance(given, str)):
        raise NotMiddleware(job.name, given, "it must return a list")
    stages: Sequence[Any] = given
    for stage in stages:
        if type(stage) in _sound:
            continue
        if isinstance(stage, type):
            why = f"that is the class: write {stage.__qualname__}(...)"
            raise NotMiddleware(job.name, stage, why)
        if not callable(stage):
            why = "that cannot be called: give callables that take the job and what comes next"
            raise NotMiddleware(job.name, stage, why)
        if len(_sound) < MOST_SOUND:
            _sound.add(type(stage))
    return stages


def _call(stage: Middleware, inner: Next, job: Job) -> None:
    try:
        stage(job, inner)
    except TypeError as error:
        # Raised by the call itself, before the first line of the stage: it takes other things.
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            why = f"it does not take the job and what comes next ({error})"
            raise NotMiddleware(job.name, stage, why) from error
        raise
