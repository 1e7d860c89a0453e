"""Compute an event's figures anew."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from meet2be.db import Database
from meet2be.events.models import Event
from meet2be.figures.computing import compute_tx
from meet2be.language import Message
from meet2be.notifications.services import Notice, notify_admins
from meet2be.queueing import tenant_of
from onqueue import Job
from onqueue.contracts import Clock
from onqueue.limits import Limit, RateLimiter
from onqueue.middleware import Middleware, RateLimited, WithoutOverlapping

FIGURES = "event-figures"
EVERY = 10
"""Seconds between two computations of one event."""
DEBOUNCE = 3.0
"""Seconds that a change waits for others that come with it."""


def _one_in_a_while(job: ProcessEventData) -> Limit:
    return Limit.per_second(1, EVERY).by(job.event)


class ProcessEventData(Job):
    """Recomputes one event's figures from its ledgers; the same event waits once, and runs once.

    The lock of uniqueness is given back when it begins: what is sold while it runs causes another.
    """

    connection = "redis-long"
    queue = "processing"
    tries = 3
    max_exceptions = 3
    retry_until = timedelta(hours=2)
    timeout = 120
    backoff = (5, 30, 120)
    unique = True
    unique_until_processing = True
    unique_for = timedelta(hours=2)

    event: str

    def unique_id(self) -> str:
        """One for each event."""
        return self.event

    def middleware(self) -> list[Middleware]:
        """One at a time for each event, and not more often than every few seconds."""
        return [WithoutOverlapping(self.event), RateLimited(FIGURES)]

    def handle(self, database: Database, clock: Clock) -> None:
        """Look at the ledgers as they stand, and keep what they add up to."""
        compute_tx(database, tenant_of(self) or 0, self.event, clock.now())

    def failed(self, error: BaseException) -> None:
        """Tell the organisation that its figures are old."""
        database = self.running("failed").service(Database)
        tenant_id = tenant_of(self) or 0
        with database.tenant_session(tenant_id) as session:
            event = session.scalar(select(Event).where(Event.uid == self.event))
            if event is None:
                return
            now = database.clock.now()
            notice = Notice(
                kind="event_data.failed",
                severity="warning",
                title=Message("The figures of %(event)s are old", {"event": event.title}),
                body=Message("They could not be made anew: %(why)s", {"why": str(error)[:200]}),
                link=f"/events/{event.uid}/figures",
                related_type="event",
                related_id=event.id,
                dedupe_key=f"event-data-failed:{event.uid}:{now:%Y-%m-%d}",
            )
            notify_admins(session, tenant_id, notice, now)
            session.commit()


RateLimiter.define(FIGURES, _one_in_a_while)
