"""Bring one alert to one channel of an organisation."""

from meet2be.alerts.sending import AlertNotTaken, AlertSender
from meet2be.db import Database
from meet2be.queueing import tenant_of
from meet2be.webhooks.delivering import WebhookDeliveries
from onqueue import Job


class SendAlert(Job):
    """Posts it through the guarded client, again after a while when the channel is away."""

    connection = "redis"
    queue = "webhooks"
    durable = True
    timeout = 60
    tries = 6
    backoff = (30, 60, 120, 300, 600)

    delivery: int

    def handle(self, database: Database, webhooks: WebhookDeliveries) -> None:
        """Send it; what was refused for good is not sent again."""
        try:
            AlertSender(database, webhooks.http, webhooks.vault).send(
                tenant_of(self) or 0, self.delivery
            )
        except AlertNotTaken as error:
            if error.is_final:
                self.delete()
                return
            raise

    def failed(self, error: BaseException) -> None:
        """Say on the alert that nobody tries it any more."""
        context = self.running("failed")
        webhooks = context.service(WebhookDeliveries)
        sender = AlertSender(context.service(Database), webhooks.http, webhooks.vault)
        sender.give_up(tenant_of(self) or 0, self.delivery, str(error))
