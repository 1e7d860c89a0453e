"""Delete what the log of webhooks need not keep any more."""

from meet2be.db import Database
from meet2be.webhooks.replaying import KEPT, prune
from onqueue import Job
from onqueue.contracts import Clock

MOST_SLICES = 500


class PruneWebhooks(Job):
    """Deletes attempts and settled deliveries after 90 days, slice by slice."""

    connection = "redis"
    queue = "low"
    timeout = 600

    def handle(self, database: Database, clock: Clock) -> None:
        """Delete what is older, a commit a slice, until nothing is."""
        before = clock.now() - KEPT
        for _ in range(MOST_SLICES):
            with database.system_session("prune webhooks after 90 days") as session:
                gone = prune(session, before)
                session.commit()
            if not gone or self.should_stop:
                return
