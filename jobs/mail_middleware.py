"""What stands around every job that sends one mail: is it wanted, and is it its turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from meet2be.integrations.mail import TransportBroken
from meet2be.mailings import courier
from meet2be.mailings.delivery import MailDeliveries, MailDelivery
from meet2be.mailings.limits import LIMITER, SendingLimits, hourly
from meet2be.queueing import tenant_of
from onqueue import Job
from onqueue.errors import RetryUntilPassed
from onqueue.limits import Limit, RateLimiter, take_each
from onqueue.middleware import Middleware, RateLimited, ThrottlesExceptions

CIRCUIT = 300.0
"""Seconds for which nobody tries a mail server again that refuses us altogether."""
BACKOFF = (30, 60, 300, 900, 1800)


class SendsOne(Protocol):
    """A job that sends one mail to one person."""

    mail: int
    person: str


def _limits_of(job: Any) -> list[Limit]:
    """Count a mail once, however often the server puts it off; the server counts each try."""
    limits = job.running("mail").service(MailDeliveries).limits
    if job.attempts > 1:
        return [limits.per_second()]
    return [hourly(job.person), limits.daily(tenant_of(job)), limits.per_second()]


RateLimiter.define(LIMITER, _limits_of)


def delivery_of(job: Job) -> MailDelivery:
    """Return the delivery in the scope of the tenant a running job works for."""
    deliveries = job.running("mail").service(MailDeliveries)
    return deliveries.of_tenant(tenant_of(job))


def circuit() -> ThrottlesExceptions:
    """Return what keeps jobs from a mail server that takes nothing from us, across job classes."""
    breaker = ThrottlesExceptions(1, CIRCUIT).backoff(CIRCUIT)
    return breaker.when(TransportBroken).by("mail-transport")


class Pace:
    """Lets so many mails of a job leave as the mail server takes in this second."""

    def __init__(self, limits: SendingLimits) -> None:
        self.limits = limits
        self.wait: float | None = None
        """Seconds until those may leave that were left; None: none was left."""

    def those_in_time(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Return the rows that are not sent, or may be sent now."""
        queued = [row for row in rows if row.status == "queued"]
        waits = take_each(LIMITER, [self.limits.per_second()] * len(queued))
        late = {row.id: wait for row, wait in zip(queued, waits, strict=True) if wait is not None}
        self.wait = max(late.values(), default=None)
        return [row for row in rows if row.id not in late]


def given_up(job: Any, error: BaseException) -> None:
    """Say on a mail that nobody tries it any more; one that only had to wait gets a new job."""
    delivery = delivery_of(job)
    if isinstance(error, RetryUntilPassed) and courier.post_again_tx(delivery, job.mail):
        return
    courier.give_up_tx(delivery, job.mail, str(error))


def around_one_mail(*, is_urgent: bool) -> Sequence[Middleware]:
    """Return the middleware; an urgent mail is counted, and does not wait."""
    gate = RateLimited(LIMITER)
    return [_if_wanted, circuit(), gate.without_waiting() if is_urgent else gate.on_wait(_waits)]


def _if_wanted(job: Any, inner: Callable[[Any], None]) -> None:
    if courier.is_wanted(delivery_of(job), job.mail):
        inner(job)


def _waits(job: Any, seconds: float) -> None:
    courier.wait_for_slot_tx(delivery_of(job), job.mail, seconds)
