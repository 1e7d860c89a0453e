"""Forget the answers that no repeat of a request can ask for any more."""

from meet2be.api_tokens.remembering import forget_old
from meet2be.db import Database
from onqueue import Job
from onqueue.contracts import Clock


class ForgetApiAnswers(Job):
    """Deletes answers of the API a day after their requests, some at a time."""

    connection = "redis"
    queue = "low"
    timeout = 600
    tries = 3
    backoff = (60,)

    def handle(self, database: Database, clock: Clock) -> None:
        """Delete until none is left."""
        left = True
        while left:
            with database.system_session("forget answers whose time is over") as session:
                left = forget_old(session, clock.now()) > 0
