"""Send one mail of the outbox."""

from datetime import timedelta

from meet2be.mailings.delivery import MailDeliveries
from meet2be.queueing import tenant_of
from onqueue import Job


class SendMail(Job):
    """Delivers one mail at most once; "try later" answers are tried again for a day."""

    connection = "redis"
    queue = "emails"
    timeout = 120
    backoff = (30, 60, 300, 900, 1800)
    retry_until = timedelta(hours=24)

    mail: int

    def handle(self, deliveries: MailDeliveries) -> None:
        """Send it, or put it off until the mail server takes it."""
        deliveries.of_tenant(tenant_of(self)).deliver(self.mail, self.job_id, self.ensure_lease)

    def failed(self, error: BaseException) -> None:
        """Say on the mail that nobody tries it any more."""
        deliveries = self.running("failed").service(MailDeliveries)
        deliveries.of_tenant(tenant_of(self)).give_up(self.mail, str(error))
