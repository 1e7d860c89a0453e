"""Bring announcements to the endpoints that want them."""

from meet2be.db import Database
from meet2be.objects.all import object_of
from meet2be.queueing import tenant_of
from meet2be.webhooks.spreading import spread
from onqueue import Job

A_JOB = 200
"""How many announcements one job takes at most."""


class SpreadAnnouncements(Job):
    """Writes a delivery for each endpoint, and lets a job send each."""

    connection = "redis"
    queue = "default"
    durable = True
    timeout = 120
    tries = 8
    backoff = (1, 5, 30, 120, 600)

    events: list[int]

    def handle(self, database: Database) -> None:
        """Write them, in one commit with their jobs."""
        with database.tenant_session(tenant_of(self) or 0) as session:
            spread(session, self.events, object_of)
            session.commit()
