"""Delete tickets on paper that no mail has come to carry."""

from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.tidying import tidy_tickets_tx
from onqueue import Job


class TidyTickets(Job):
    """What it cannot delete, the next run finds again."""

    connection = "redis"
    queue = "low"
    timeout = 600
    tries = 1

    def handle(self, desk: CheckoutDesk) -> None:
        """Delete them."""
        tidy_tickets_tx(desk)
