"""Make the file of an export."""

from dataclasses import dataclass
from typing import Any

from meet2be.exports.errors import words_for
from meet2be.exports.running import Counter, give_up, run_export
from meet2be.queueing import lane_of_tenant, tenant_of
from onqueue import Job
from onqueue.limits import Limit, RateLimiter
from onqueue.middleware import Middleware, RateLimited

PLACES = "export-places"
AT_ONCE = 1
"""Exports of one organisation that are made at the same time; its others wait, parked."""


class ExportEventAttendees(Job):
    """Writes an event's attendees into a file, stores it, and tells whoever asked."""

    connection = "redis-long"
    queue = "exports"
    durable = True
    timeout = 3600
    tries = 4
    backoff = (5, 30, 120)

    export: str

    def fair_key(self) -> int:
        """A lane for each tenant: many exports of one hold up no other's."""
        return lane_of_tenant()

    def middleware(self) -> list[Middleware]:
        """A place for each tenant: two long files of one do not take both processes."""
        return [RateLimited(PLACES)]

    def handle(self, counter: Counter) -> None:
        """Make it; what a repeat cannot help is told at once, other errors are tried again."""
        run_export(counter, tenant_of(self) or 0, self.export, _Control(self))

    def failed(self, error: BaseException) -> None:
        """Tell the person who asked, in words."""
        counter = self.running("failed").service(Counter)
        give_up(counter, tenant_of(self) or 0, self.export, *words_for(error))


@dataclass(frozen=True, slots=True)
class _Control:
    """The running job, as the export's work sees it."""

    job: Any

    def ensure_lease(self) -> None:
        self.job.ensure_lease()


def _place_of_tenant(job: ExportEventAttendees) -> Limit:
    return Limit.concurrency(AT_ONCE).by(f"tenant:{tenant_of(job) or 0}")


RateLimiter.define(PLACES, _place_of_tenant)
