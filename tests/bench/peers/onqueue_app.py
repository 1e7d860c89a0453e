"""This project's queue, as an application would use it alone.

Option `connection` names another connection, `kind` another sort of job, `tenants` how many share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onqueue
from bench.given import read_given
from onqueue.clock import SystemClock
from onqueue.limits import Limit, RateLimiter
from onqueue.middleware import RateLimited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.middleware.pipeline import Middleware

WAIT = 0.001
"""Seconds that a job waits which stands for one that asks somebody else."""

given = read_given()
ledger = given.open_ledger()
_name = given.options.get("connection", "redis")
_kind = given.options.get("kind", "plain")
_tenants = int(given.options.get("tenants", 1))
_clock = SystemClock()
queues = onqueue.QueueManager(
    _name,
    {_name: {"driver": "redis", "url": given.url, "retry_after": 90}},
    failed={"driver": "null"},
)
onqueue.use(queues)
RateLimiter.define("bench", lambda _: Limit.per_minute(1_000_000_000))


class Noop(onqueue.Job):
    """Does nothing; leased, fenced, its start counted, as every job."""

    number: int

    def handle(self) -> None:
        """Note that it ran."""
        ledger.note(self.number)


class Limited(Noop):
    """Has a rate limit that never turns it away."""

    def middleware(self) -> Sequence[Middleware]:
        """Return the one limiter."""
        return [RateLimited("bench")]


class Fair(Noop):
    """Belongs to one of the tenants."""

    def fair_key(self) -> str:
        """Return the tenant."""
        return f"tenant-{self.number % _tenants}"


class Unique(Noop):
    """Is unique by its number."""

    unique = True

    def unique_id(self) -> int:
        """Return what no other job that waits may have."""
        return self.number


class Waiting(Noop):
    """Waits a little, as for an answer."""

    def handle(self) -> None:
        """Note that it ran when it has waited."""
        _clock.sleep(WAIT)
        ledger.note(self.number)


_CLASSES = {"limited": Limited, "fair": Fair, "unique": Unique, "waiting": Waiting}
_class: type[Noop] = _CLASSES.get(_kind, Noop)


def fill(first: int, last: int) -> None:
    """Dispatch the jobs first…last-1."""
    jobs = (_class(number) for number in range(first, last))
    if _kind == "batched":
        onqueue.batch(jobs).dispatch()
    elif _kind == "chained":
        onqueue.chain(list(jobs)).dispatch()
    else:
        onqueue.dispatch_many(jobs)


def send(number: int) -> None:
    """Dispatch one job."""
    _class(number).dispatch()


def send_later(number: int, seconds: float) -> None:
    """Dispatch one job for later."""
    _class(number).delay(seconds=seconds).dispatch()
