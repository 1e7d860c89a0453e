"""Act on one message of the payment provider."""

from meet2be.cancellations.context import Desk
from meet2be.cancellations.following import give_up, process_event
from onqueue import Job


class ProcessProviderEvent(Job):
    """Brings the ledger after what the provider told; a message acts once."""

    connection = "redis"
    queue = "default"
    durable = True
    timeout = 60
    tries = 8
    backoff = (1, 5, 30, 120, 600)

    event: int

    def handle(self, desk: Desk) -> None:
        """Process the stored message."""
        process_event(desk, self.event)

    def failed(self, error: BaseException) -> None:
        """Say on the message that it was not understood."""
        give_up(self.running("failed").service(Desk), self.event, str(error))
