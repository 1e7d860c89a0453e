"""Send one mail to one person, at most ten an hour to each."""

from collections.abc import Sequence
from datetime import timedelta

from jobs.mail_middleware import BACKOFF, around_one_mail, delivery_of, given_up
from meet2be.integrations.mail import DeliveryDeferred, TransportBroken
from meet2be.mailings import courier
from meet2be.queueing import lane_of_tenant
from onqueue import Job
from onqueue.middleware import Middleware


class SendTransactionalEmail(Job):
    """Delivers a mail of the outbox; beyond its reader's limit it waits parked, nothing spent."""

    connection = "redis"
    queue = "transactional-emails"
    durable = True
    timeout = 120
    backoff = BACKOFF
    retry_until = timedelta(hours=24)

    mail: int
    person: str
    urgent: bool = False

    def fair_key(self) -> tuple[int | str, int]:
        """A lane for each tenant; what is urgent has one of its own, with most of the turns."""
        return ("urgent", 16) if self.urgent else (lane_of_tenant(), 1)

    def middleware(self) -> Sequence[Middleware]:
        """Let security mails pass at once; all others wait for their reader's limit."""
        return around_one_mail(is_urgent=self.urgent)

    def handle(self) -> None:
        """Send it; "try later" answers are tried again for a day."""
        delivery = delivery_of(self)
        courier.wake_tx(delivery, self.mail)
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

    def failed(self, error: BaseException) -> None:
        """Say on the mail that nobody tries it any more, unless it has only waited."""
        given_up(self, error)
