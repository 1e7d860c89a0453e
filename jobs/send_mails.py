"""Send some mails of the outbox."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from jobs.mail_middleware import BACKOFF, Pace, circuit, delivery_of
from meet2be.integrations.mail import DeliveryDeferred, TransportBroken
from meet2be.mailings import courier
from meet2be.mailings.delivery import MailDeliveries, MailDelivery
from meet2be.mailings.limits import LIMITER
from meet2be.queueing import lane_of_tenant, tenant_of
from onqueue import Job
from onqueue.errors import RetryUntilPassed
from onqueue.limits import take_each
from onqueue.middleware import Middleware

A_JOB = 50
"""How many mails one job takes at most: no fewer than one commit of a lane writes, because a job
costs what three mails do. A worker that is to stop leaves the rest of its job to another."""
COUNTED = "counted"
"""What the checkpoint calls the mails that are counted in the limits already."""


class SendMails(Job):
    """Delivers mails at most once each; "try later" answers are tried again for a day.

    What is beyond its reader's limit an hour, or its organisation's a day, is left to a
    ``SendTransactionalEmail``, which waits. For the mail server's limit a second it waits itself.
    """

    connection = "redis"
    queue = "emails"
    durable = True
    timeout = 600
    backoff = BACKOFF
    retry_until = timedelta(hours=24)

    mails: list[int]

    def fair_key(self) -> int:
        """A lane for each tenant: a cancelled conference of one holds up no other's mails."""
        return lane_of_tenant()

    def middleware(self) -> Sequence[Middleware]:
        """Leave a mail server alone that refuses us altogether."""
        return [circuit()]

    def handle(self, deliveries: MailDeliveries) -> None:
        """Send them; those the mail server puts off come again later."""
        delivery = deliveries.of_tenant(tenant_of(self))
        pace = Pace(deliveries.limits)
        try:
            left = delivery.deliver(
                self.mails,
                self.job_id,
                self.ensure_lease,
                self._is_to_stop,
                lambda rows: self._may_leave(delivery, pace, rows),
            )
        except TransportBroken as error:
            courier.tell_broken_tx(delivery, error.text)
            raise
        if left and not self.should_stop:  # with them wait those that had no turn in this second
            raise DeliveryDeferred(f"{len(left)} of {len(self.mails)} recipients", 0, "try later")
        if left or pace.wait is not None:
            self.snooze(pace.wait or 0)

    def failed(self, error: BaseException) -> None:
        """Say on the mails that nobody tries them any more, unless they have only waited."""
        delivery = delivery_of(self)
        again: set[int] = set()
        if isinstance(error, RetryUntilPassed):
            again = courier.queue_again_tx(delivery, self.mails)
        delivery.give_up([mail for mail in self.mails if mail not in again], str(error))

    def _may_leave(self, delivery: MailDelivery, pace: Pace, rows: Sequence[Any]) -> Sequence[Any]:
        rows = pace.those_in_time(courier.hold_back_tx(delivery, rows))
        new = self._not_counted(pace, rows)
        daily = pace.limits.daily(delivery.tenant_id)
        through = courier.let_through_tx(
            delivery, new, daily, lambda each: take_each(LIMITER, each)
        )
        return [*(row for row in rows if row not in new), *through]

    def _not_counted(self, pace: Pace, rows: Sequence[Any]) -> Sequence[Any]:
        """Return the rows that are to be counted: those no earlier run of this job has tried.

        Without a pace each run tries all.
        """
        if not pace.limits.rate:
            return [] if self.attempts > 1 else rows
        counted = set(self.checkpoint.get(COUNTED, ()))
        new = [row for row in rows if row.id not in counted]
        if new:
            self.checkpoint.set(COUNTED, sorted(counted.union(row.id for row in new)))
        return new

    def _is_to_stop(self) -> bool:
        return self.should_stop
