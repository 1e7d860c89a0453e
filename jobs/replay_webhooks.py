"""Send webhooks again, slice by slice: replays that somebody asked for, and what was held back."""

from __future__ import annotations

from datetime import datetime

from meet2be.db import Database
from meet2be.queueing import dispatch, tenant_of
from meet2be.webhooks.replaying import PAUSE, Filters, replay_slice, resume_slice
from onqueue import Job


class ReplayWebhooks(Job):
    """Makes replays of what matched when it was asked for."""

    connection = "redis"
    queue = "default"
    durable = True
    timeout = 120
    tries = 8
    backoff = (1, 5, 30, 120, 600)

    user: int | None
    endpoint: int | None
    statuses: list[str]
    type: str | None
    since: str | None
    until: str | None
    last: int
    after: int = 0

    def handle(self, database: Database) -> None:
        """Make one slice, and let a job make the next in the same commit."""
        filters = Filters(
            self.endpoint, self.type, self.statuses, _moment(self.since), _moment(self.until)
        )
        with database.tenant_session(tenant_of(self) or 0) as session:
            following = replay_slice(session, filters, self.user, self.after, self.last)
            if following is not None:
                job = ReplayWebhooks(
                    self.user, self.endpoint, self.statuses, self.type, self.since, self.until,
                    self.last, following,
                )  # fmt: skip
                dispatch(session, job.delay(seconds=PAUSE))
            session.commit()


class ResumeWebhooks(Job):
    """Lets what was held back for an endpoint be sent."""

    connection = "redis"
    queue = "default"
    durable = True
    timeout = 120
    tries = 8
    backoff = (1, 5, 30, 120, 600)

    endpoint: int

    def handle(self, database: Database) -> None:
        """Release one slice, and let a job release the next in the same commit."""
        with database.tenant_session(tenant_of(self) or 0) as session:
            if resume_slice(session, self.endpoint):
                dispatch(session, ResumeWebhooks(self.endpoint).delay(seconds=PAUSE))
            session.commit()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
