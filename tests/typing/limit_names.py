"""Checked by type checkers, never run: what limits promise to those who write jobs."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, assert_type

from onqueue import Job, events
from onqueue.errors import LimitReached
from onqueue.limits import (
    Funnel,
    Limit,
    Lock,
    RateLimiter,
    Throttle,
    funnel,
    lock,
    take_each,
    throttle,
)
from onqueue.middleware import (
    FailOnException,
    Middleware,
    RateLimited,
    Skip,
    SkipIfBatchCancelled,
    ThrottlesExceptions,
    WithoutOverlapping,
)


def waited(_job: Any, seconds: float) -> None:
    assert_type(seconds, float)


class Call(Job):
    customer: str

    def middleware(self) -> Sequence[Middleware]:
        return [
            RateLimited("provider").release_after(timedelta(seconds=5)),
            RateLimited("provider").without_waiting(),
            RateLimited("provider").on_wait(waited),
            throttle("provider").allow(10).every(1),
            funnel("provider").limit(3).dont_release(),
            lock(self.customer).expire_after(60),
            WithoutOverlapping(self.customer).shared(),
            ThrottlesExceptions(5, 60).when(OSError).fail_when([KeyError]).backoff(3).by("x"),
            FailOnException([ValueError, KeyError]),
            Skip.when(self.customer == "none"),
            SkipIfBatchCancelled(),
            timed,
        ]

    def handle(self) -> None:
        assert_type(take_each("x", [Limit.per_hour(10).rolling()]), list[float | None])
        try:
            with throttle("inside").every(1) as gate, lock("inside") as held:
                assert_type(gate, Throttle)
                assert_type(held, Lock)
        except LimitReached as reached:
            self.release(reached.retry_in)


def timed(job: Job, inner: Callable[[Job], None]) -> None:
    """Be a middleware."""
    inner(job)


def rule(job: Call) -> list[Limit]:
    """Be a rule."""
    return [Limit.per_minute(30).by(job.customer), Limit.concurrency(2), Limit.none()]


RateLimiter.define("provider", rule)
RateLimiter.define("one", lambda _: Limit.per(1, timedelta(minutes=1)))
assert_type(Limit.per_day(5).by(7), Limit)
assert_type(funnel("k").limit(2), Funnel)
assert_type(throttle("k").allow(2).every(1), Throttle)


@events.work_paused.connect
def note(event: events.WorkPaused) -> Any:
    """Hear of a pause."""
    assert_type(event.until, float | None)
