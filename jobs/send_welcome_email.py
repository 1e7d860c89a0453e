"""Welcome one person, once for ever."""

from collections.abc import Sequence
from datetime import timedelta

from jobs.mail_middleware import BACKOFF, around_one_mail, delivery_of, given_up
from meet2be.accounts import welcome
from meet2be.config import Settings
from meet2be.integrations.mail import DeliveryDeferred, TransportBroken
from meet2be.mailings import courier
from meet2be.mailings.services import Sender
from meet2be.queueing import lane_of_tenant
from onqueue import Job
from onqueue.middleware import Middleware


class SendWelcomeEmail(Job):
    """Makes the link when it sends the mail, so that no payload ever bears it."""

    connection = "redis"
    queue = "emails"
    durable = True
    timeout = 120
    backoff = BACKOFF
    retry_until = timedelta(hours=72)

    mail: int
    person: str

    def fair_key(self) -> int:
        """A lane for each tenant: many new people of one hold up no other's."""
        return lane_of_tenant()

    def middleware(self) -> Sequence[Middleware]:
        """Wait for the reader's limit, as other mails do."""
        return around_one_mail(is_urgent=False)

    def handle(self, settings: Settings) -> None:
        """Write and send it, unless the person is no longer to be welcomed."""
        delivery, sender = delivery_of(self), Sender("Meet2Be", settings.mail.sender)
        courier.wake_tx(delivery, self.mail)
        if not welcome.prepare_tx(delivery, self.mail, settings.web.base_url, sender):
            return
        try:
            left = delivery.deliver(
                [self.mail],
                self.job_id,
                self.ensure_lease,
                let_through=lambda rows: courier.hold_back_tx(delivery, rows),
            )
        except TransportBroken as error:
            courier.tell_broken_tx(delivery, error.text)
            raise
        if left:
            raise DeliveryDeferred(f"mail {self.mail}", 0, "try later")
        welcome.settle_tx(delivery, self.mail)

    def failed(self, error: BaseException) -> None:
        """Say on the mail that nobody tries it any more, unless it has only waited."""
        given_up(self, error)
        welcome.settle_tx(delivery_of(self), self.mail)
