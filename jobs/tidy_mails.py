"""Look after the outbox."""

from meet2be.accounts.tokens import prune
from meet2be.db import Database
from meet2be.mailings.delivery import MailDeliveries
from meet2be.mailings.housekeeping import tidy_tx
from onqueue import Job
from onqueue.contracts import Clock


class TidyMails(Job):
    """Ends lost claims, sends what was held, erases old texts and tokens."""

    connection = "redis"
    queue = "low"
    timeout = 600
    tries = 3
    backoff = (60,)

    def handle(self, deliveries: MailDeliveries, database: Database, clock: Clock) -> None:
        """Do all of it."""
        tidy_tx(deliveries)
        with database.system_session("forget tokens whose time is over") as session:
            prune(session, clock.now())
            session.commit()
