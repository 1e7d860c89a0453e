"""What limits have in common: a job passes, waits its turn, goes back, or is skipped."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from onqueue.errors import (
    BrokerUnavailable,
    LimitDefinitionError,
    LimitReached,
    NotRunning,
    RunEnded,
)
from onqueue.job_context import Order, current_run
from onqueue.options import Seconds, checked_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from onqueue.job import Job
    from onqueue.job_context import JobContext
    from onqueue.limits.limit import Limit
    from onqueue.quotas import Limits, Quota


log = logging.getLogger("onqueue.limits")


class Gate(ABC):
    """A middleware that lets a job through when all its quotas do.

    A job that is turned away waits parked, in order, and comes back when its turn has come: that
    spends no attempt.
    """

    _release_after: float | None = None
    _should_drop = False
    _should_only_count = False
    _on_wait: Callable[[Any, float], None] | None = None

    def release_after(self, span: Seconds) -> Self:
        """Give a job that is turned away back to its queue for a span; that spends its attempt."""
        self._release_after = checked_seconds("release_after()", span)
        return self

    def dont_release(self) -> Self:
        """Skip a job that is turned away."""
        self._should_drop = True
        return self

    def without_waiting(self) -> Self:
        """Count the job in its rates, and let it go on whether there is room or not."""
        self._should_only_count = True
        return self

    def on_wait(self, tell: Callable[[Any, float], None]) -> Self:
        """Call `tell(job, seconds)` when a job is turned away, before it stands aside.

        The seconds are those until the limit may open; there may be others in front.
        """
        self._on_wait = tell
        return self

    @abstractmethod
    def quotas(self, job: Job) -> Sequence[Quota]:
        """Return what the job must be let through by; nothing: it goes on at once."""

    def __call__(self, job: Job, inner: Callable[[Job], None]) -> None:
        """Run the job when it is let through, or say what becomes of it."""
        quotas = self.quotas(job)
        if not quotas:
            inner(job)
            return
        context = job.running("middleware")
        limits = limits_of(context, job.name)
        if self._should_only_count:
            for quota in quotas:
                if quota.kind in {"rate", "moving"}:  # a slot is taken by a job or not at all
                    limits.hit(quota)
            inner(job)
            return
        wait = limits.admit(quotas, context.job_id, context.queue)
        if wait is not None:
            if self._on_wait is not None:
                self._on_wait(job, wait)
            context.give(self._waiting(quotas))
            return
        for quota in quotas:
            if quota.kind == "slots":
                break
        else:
            inner(job)
            return
        try:
            inner(job)
        finally:
            slots = [quota for quota in quotas if quota.kind == "slots"]
            _free(limits.free_at_end, slots, context.job_id)

    def _waiting(self, quotas: Sequence[Quota]) -> Order:
        if self._should_drop:
            return Order("skip")
        if self._release_after is not None:
            return Order("release", delay=self._release_after)
        return Order("park", quotas=tuple(quotas))


class OneGate(Gate):
    """A gate of one quota that needs no job to be known, so it can stand inside `handle`, too.

    As a context manager it raises `LimitReached` when it is closed; with `release_after` the run
    ends there and the job goes back to its queue.
    """

    @property
    @abstractmethod
    def quota(self) -> Quota:
        """What lets a job through; raises `LimitDefinitionError` when that was not said."""

    def quotas(self, job: Job) -> Sequence[Quota]:
        """Return the one quota."""
        del job
        return (self.quota,)

    def __enter__(self) -> Self:
        """Go on, or raise `LimitReached` (or `RunEnded`); raises `NotRunning` outside of a job."""
        quota, context = self.quota, current_run(repr(self))
        wait = limits_of(context, "").admit([quota], context.job_id, context.queue)
        if wait is not None:
            if self._release_after is not None:
                context.give(Order("release", delay=self._release_after))
                raise RunEnded
            raise LimitReached(quota.key, wait)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give a slot back."""
        if self.quota.kind == "slots":
            context = current_run(repr(self))
            _free(limits_of(context, "").free, [self.quota], context.job_id)


def _free(free: Callable[[Sequence[Quota], str], None], slots: Sequence[Quota], owner: str) -> None:
    """Give slots back; when the broker is away they end with the job, whose outcome stands."""
    try:
        free(slots, owner)
    except BrokerUnavailable as error:
        log.warning("the slots of job %s end with it: %s", owner, error)


def limits_of(context: JobContext, job: str) -> Limits:
    """Return the run's limits; raises `NotRunning` where there are none."""
    if context.limits is None:
        raise NotRunning(job, "limits")
    return context.limits


def take_each(scope: str, limits: Sequence[Limit]) -> list[float | None]:
    """Use each of many limits of a named limiter on its own, from inside a job that does the work.

    None for each that was used; for those that are used up the seconds until they open. Who waits
    for them parked is passed by. Raises `NotRunning` outside of a job, and `LimitDefinitionError`
    for what is no rate.
    """
    quotas = [limit.quota(scope) for limit in limits]
    rates = [quota for quota in quotas if quota is not None]
    if any(quota.kind == "slots" for quota in rates):
        raise LimitDefinitionError(f"take_each({scope!r})", "only rates can be used without a job")
    if not rates:
        return [None] * len(quotas)
    waits = iter(limits_of(current_run("take_each"), "").take_each(rates))
    return [None if quota is None else next(waits) for quota in quotas]
