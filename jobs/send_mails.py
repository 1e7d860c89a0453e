"""Send some mails of the outbox."""

from datetime import timedelta

from meet2be.integrations.mail import DeliveryDeferred
from meet2be.mailings.delivery import MailDeliveries
from meet2be.queueing import tenant_of
from onqueue import Job

A_JOB = 50
"""How many mails one job takes at most: no fewer than one commit of a lane writes, because a job
costs what three mails do. A worker that is to stop leaves the rest of its job to another."""


class SendMails(Job):
    """Delivers mails at most once each; "try later" answers are tried again for a day."""

    connection = "redis"
    queue = "emails"
    durable = True
    timeout = 600
    backoff = (30, 60, 300, 900, 1800)
    retry_until = timedelta(hours=24)

    mails: list[int]

    def handle(self, deliveries: MailDeliveries) -> None:
        """Send them; those the mail server puts off come again later."""
        delivery = deliveries.of_tenant(tenant_of(self))
        left = delivery.deliver(self.mails, self.job_id, self.ensure_lease, self._is_to_stop)
        if left and self.should_stop:
            self.snooze(0)
        elif left:
            raise DeliveryDeferred(f"{len(left)} of {len(self.mails)} recipients", 0, "try later")

    def failed(self, error: BaseException) -> None:
        """Say on the mails that nobody tries them any more."""
        deliveries = self.running("failed").service(MailDeliveries)
        deliveries.of_tenant(tenant_of(self)).give_up(self.mails, str(error))

    def _is_to_stop(self) -> bool:
        return self.should_stop
