"""Send one refund of an order."""

from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.refund_sending import give_up_refund_tx, send_refund
from meet2be.checkout.steps import Wait
from meet2be.queueing import tenant_of
from onqueue import Job


class SendRefund(Job):
    """Asks the provider for a refund that no cancel run looks after, until it is settled."""

    connection = "redis"
    queue = "high"
    durable = True
    timeout = 120
    tries = 0
    max_exceptions = 20
    backoff = (1, 5, 30, 120, 600)

    refund: int

    def handle(self, desk: CheckoutDesk) -> None:
        """Ask, or look up; come back while nobody knows."""
        outcome = send_refund(desk, tenant_of(self) or 0, self.refund, self.ensure_lease)
        if isinstance(outcome, Wait):
            self.snooze(outcome.seconds)

    def failed(self, error: BaseException) -> None:  # noqa: ARG002 -- the contract's signature
        """Tell the organisers; the sweep sends it on when whatever broke it is mended."""
        desk = self.running("failed").service(CheckoutDesk)
        give_up_refund_tx(desk, tenant_of(self) or 0, self.refund)
