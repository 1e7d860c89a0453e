"""Jobs with limits, each noting in the ledger of `support.worker_jobs` what happened when."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from onqueue import Job
from onqueue.clock import SystemClock
from onqueue.errors import LimitReached
from onqueue.limits import Limit, RateLimiter, funnel, lock, throttle
from onqueue.middleware import Middleware, RateLimited, ThrottlesExceptions
from support.worker_jobs import note

_clock = SystemClock()
WINDOW = 0.04

RateLimiter.define("api of tenants", lambda job: Limit.per_second(1, WINDOW).by(job.tenant_of))
RateLimiter.define("one at once", lambda job: Limit.concurrency(1).by(job.tenant_of))
RateLimiter.define("half a second", lambda _: Limit.per_second(1, 0.5))


class Limited(Job):
    """Is let through by the limiter it names."""

    tries = 0
    label: str
    tenant_of: str = "acme"
    limiter: str = "api of tenants"
    seconds: float = 0.0

    def middleware(self) -> Sequence[Middleware]:
        return [RateLimited(self.limiter)]

    def handle(self) -> None:
        note(self, "ran")
        _clock.sleep(self.seconds)


class Refused(Job):
    """Raises each time, under a circuit breaker."""

    tries = 2
    label: str

    def middleware(self) -> Sequence[Middleware]:
        return [ThrottlesExceptions(2, 0.3).backoff(0)]

    def handle(self) -> None:
        note(self, "ran")
        raise ConnectionRefusedError("the provider is away")


class Inside(Job):
    """Meets its limits in the middle of its work."""

    tries = 0
    label: str
    what: str

    def handle(self) -> None:
        gates: dict[str, AbstractContextManager[object]] = {
            "throttle": throttle("inside").allow(1).every(30),
            "funnel": funnel("inside").limit(1),
            "lock": lock("inside"),
        }
        with gates[self.what]:
            note(self, "inside")
            try:
                with gates[self.what]:
                    note(self, "twice")
            except LimitReached:
                note(self, "reached")
