"""Release the tickets of orders that were not paid in time; wake what stands still."""

from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.expiry import expire_due_tx, resume_stale_tx
from meet2be.checkout.pages import wake_waiting_tx
from meet2be.checkout.refund_sending import resume_refunds_tx
from onqueue import Job


class TendOrders(Job):
    """Run each minute: what it finds is found again the next time, so it is not tried again."""

    connection = "redis"
    queue = "high"
    timeout = 60
    tries = 1

    def handle(self, desk: CheckoutDesk) -> None:
        """Do all of it."""
        expire_due_tx(desk)
        resume_stale_tx(desk)
        wake_waiting_tx(desk)
        resume_refunds_tx(desk)
