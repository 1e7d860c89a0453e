"""Send one webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from meet2be.queueing import tenant_of
from meet2be.webhooks.delivering import WebhookDeliveries
from meet2be.webhooks.errors import DeliveryFailedError, EndpointFailsError
from meet2be.webhooks.speeds import Speeds
from meet2be.webhooks.verdicts import BACKOFF, Verdict
from onqueue import Job
from onqueue.limits import Limit, RateLimiter
from onqueue.middleware import RateLimited, ThrottlesExceptions

AT_ONCE = 4
"""Requests to one endpoint that are under way at the same time."""
SLOW_AT_ONCE = 48
"""Requests to endpoints that have shown to be slow; the rest is for all others."""
FAULTS, FAULT_SPAN = 10, 300.0
"""After so many failures within so many seconds an endpoint is left alone for the rest of them."""
PLACES = "webhook-places"
TESTS_AT_ONCE = 4
"""Tests of one organisation that are under way at the same time; of one endpoint it is one."""
TEST_PLACES = "webhook-test-places"

_speeds: list[Speeds] = []
_healthy: set[int] = set()
_MOST_REMEMBERED = 50_000


def _places(job: Any) -> list[Limit]:
    limits = [Limit.concurrency(AT_ONCE).by(f"endpoint:{job.endpoint}")]
    if _speeds and _speeds[0].is_slow(job.endpoint):
        limits.append(Limit.concurrency(SLOW_AT_ONCE).by("slow"))
    return limits


def _test_places(job: Any) -> list[Limit]:
    return [
        Limit.concurrency(1).by(f"endpoint:{job.endpoint}"),
        Limit.concurrency(TESTS_AT_ONCE).by(f"tenant:{tenant_of(job) or 0}"),
    ]


RateLimiter.define(PLACES, _places)
RateLimiter.define(TEST_PLACES, _test_places)


class ProcessWebhook(Job):
    """Posts a delivery to its endpoint; one delivery is one job.

    What the receiver cannot do now (5xx, no connection) comes again after `backoff`, what it
    refuses (4xx, 3xx) fails at once. The delivery's own row counts the attempts: waiting, parking
    and a worker's death spend none.

    The row is the job's outbox too. The job is committed with it and dispatched whoever dies; after
    that the relay gives deliveries that nobody has a job anew (`replaying.dispatch_lost`), so that
    a broker that loses everything costs a quarter of an hour. A `durable` job would be back within
    a minute, at twice the processor's time for each delivery.
    """

    connection = "redis"
    queue = "webhooks"
    timeout = 60
    tries = 0
    max_exceptions = 8
    backoff = BACKOFF
    unique = True
    unique_for = timedelta(days=3)

    delivery: int
    endpoint: int
    key: str

    def unique_id(self) -> str:
        """The MD5 of address and canonical body: the same bytes are under way once."""
        return self.key

    def fair_key(self) -> int | str:
        """A lane for each endpoint: the backlog of one holds up nobody else's."""
        return self.endpoint

    def middleware(self) -> list[Any]:
        """Places for each endpoint, and a breaker for those that do not work."""
        gates: list[Any] = [RateLimited(PLACES)]
        # Who was well the last time is not asked for: that would cost every delivery a trip.
        if self.endpoint not in _healthy:
            gates.append(
                ThrottlesExceptions(FAULTS, FAULT_SPAN)
                .by(f"webhook:{self.endpoint}")
                .when([EndpointFailsError])
            )
        return gates

    def handle(self, deliveries: WebhookDeliveries) -> None:
        """Send it, and say what becomes of the job."""
        if not _speeds:
            _speeds.append(deliveries.speeds)
        found = deliveries.deliver(tenant_of(self) or 0, self.delivery, self.ensure_lease)
        if not isinstance(found, Verdict):
            if found.again_after is not None:
                self.snooze(found.again_after)
            elif found.is_failed:
                self.fail(DeliveryFailedError(self.delivery, found.why))
            return
        if not found.is_failure:
            self._remember_health()
            return
        if found.outcome == "failed":
            self.fail(DeliveryFailedError(self.delivery, found.text))
        else:
            self.release(found.delay)
        if found.code not in _NOT_ITS_FAULT and self._is_watched():
            raise EndpointFailsError(found.text)

    def failed(self, error: BaseException) -> None:
        """Say on the delivery that nobody sends it any more."""
        if not isinstance(error, DeliveryFailedError):
            deliveries = self.running("failed").service(WebhookDeliveries)
            deliveries.fail(tenant_of(self) or 0, self.delivery)

    def _remember_health(self) -> None:
        """Ask the breaker no more until the endpoint fails again."""
        if len(_healthy) < _MOST_REMEMBERED:
            _healthy.add(self.endpoint)

    def _is_watched(self) -> bool:
        """Tell whether the breaker stands around this run; from the next one on it does."""
        is_watched = self.endpoint not in _healthy
        _healthy.discard(self.endpoint)
        return is_watched


class SendTestWebhook(ProcessWebhook):
    """Posts a test that somebody waits for: nothing that waits for its endpoint is before it.

    It has a lane of its own, needs none of the endpoint's places, and goes out while the breaker
    is open: whether the receiver works again is what the person wants to know. Of all tests only a
    few are under way at once, so that a program that asks for many keeps no worker from the rest.
    """

    def fair_key(self) -> str:
        """A lane for the tests of each endpoint."""
        return f"test:{self.endpoint}"

    def middleware(self) -> list[Any]:
        """Places of the tests' own, and no breaker."""
        return [RateLimited(TEST_PLACES)]

    def _remember_health(self) -> None:
        """A test says nothing of an endpoint's health: an open breaker stays open."""

    def _is_watched(self) -> bool:
        """A test says nothing of an endpoint's health."""
        return False


_NOT_ITS_FAULT = frozenset(("refused", "gone", "moved", "odd_status"))
"""What a receiver says that works: the breaker is for those that do not answer."""
