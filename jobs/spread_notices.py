"""Bring a notice to its readers by mail, and to the organisation's channels."""

from meet2be.alerts.spreading import spread_tx
from meet2be.config import Settings
from meet2be.db import Database
from meet2be.mailings.services import Sender
from meet2be.queueing import tenant_of
from onqueue import Job


class SpreadNotices(Job):
    """Writes the mails and alerts that a notice causes, each once."""

    connection = "redis"
    queue = "default"
    durable = True
    timeout = 60
    tries = 5
    backoff = (5, 30, 120)

    cause: str

    def handle(self, database: Database, settings: Settings) -> None:
        """Do so."""
        spread_tx(
            database,
            tenant_of(self) or 0,
            self.cause,
            base_url=settings.web.base_url,
            app_key=settings.app_key,
            fallback=Sender("Meet2Be", settings.mail.sender),
        )
