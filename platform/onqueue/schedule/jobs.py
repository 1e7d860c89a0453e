"""Jobs that keep the queues themselves in order: what a schedule is first used for.

    schedule.job(PruneFailedJobs(hours=24 * 7)).daily_at("03:10")
    schedule.job(MonitorQueues(["redis:default"], most=1000)).every(minutes=1)

Workers know them when they import this module. They work on the manager in use there.
"""

from __future__ import annotations

import logging

from onqueue.bus.pruning import Age, forget_old_batches
from onqueue.connections import current_manager
from onqueue.errors import ConfigurationError
from onqueue.job import Job
from onqueue.monitor import Limits, watch
from onqueue.schedule.store import schedule_of, store_of

log = logging.getLogger("onqueue.schedule")

_HOUR = 3600.0
_DAY = 24 * _HOUR


class Housekeeping(Job, abstract=True):
    """What the jobs of this module have in common: repeating one is harmless."""

    tries = 3
    backoff = (30, 120)
    timeout = 300


class PruneFailedJobs(Housekeeping):
    """Delete jobs that failed longer ago than so many hours."""

    name = "onqueue.PruneFailedJobs"

    hours: float = 24 * 7

    def handle(self) -> None:
        """Delete them."""
        gone = current_manager().failed.flush(self.hours * _HOUR)
        log.info("%d failed jobs older than %g h deleted", gone, self.hours)


class PruneBatches(Housekeeping):
    """Forget batches that ended longer ago than so many hours, not their jobs.

    With `unfinished_hours` and `cancelled_hours` also such batches when they were made longer ago.
    """

    name = "onqueue.PruneBatches"

    hours: float = 24 * 7
    unfinished_hours: float | None = None
    cancelled_hours: float | None = None

    def handle(self) -> None:
        """Forget them."""
        age = Age(self.hours, self.unfinished_hours, self.cancelled_hours)
        log.info("%d batches forgotten", forget_old_batches(current_manager(), age))


class PruneOutbox(Housekeeping):
    """Delete rows of the outbox whose jobs ended longer ago than so many hours."""

    name = "onqueue.PruneOutbox"

    hours: float = 24 * 7

    def handle(self) -> None:
        """Delete them; without an outbox there is nothing to do."""
        outbox = current_manager().outbox
        gone = 0 if outbox is None else outbox.prune(self.hours * _HOUR)
        log.info("%d ended rows of the outbox older than %g h deleted", gone, self.hours)


class PruneSchedule(Housekeeping):
    """Delete what the history says of ticks longer ago than so many days.

    Entries that are no longer in the schedule are forgotten when they are as old.
    """

    name = "onqueue.PruneSchedule"

    days: float = 30

    def handle(self) -> None:
        """Delete it."""
        manager = current_manager()
        entries = [entry.name for entry in schedule_of(manager)]
        store = store_of(manager)
        try:
            gone = store.prune(self.days * _DAY, entries)
        finally:
            store.close()
        log.info("%d ticks older than %g days deleted from the history", gone, self.days)


class MonitorQueues(Housekeeping):
    """Tell by the event `queue_busy` when queues get too long or too old, and when that is over.

    `queues` are names like "redis:exports", without a queue the connection's own; `most` is a
    number of jobs, `max_age` and `remind` (0: never again) are seconds; `max_failed` jobs may fail
    within so many seconds.
    """

    name = "onqueue.MonitorQueues"
    tries = 1
    expires_in = 60
    timeout = 60

    queues: list[str]
    most: int = 1000
    max_age: float | None = None
    remind: float = 0
    max_failed: int | None = None
    within: float = 3600

    def handle(self) -> None:
        """Look once."""
        manager = current_manager()
        if not self.queues:
            raise ConfigurationError("MonitorQueues", ["it has no queues to look at"])
        names = []
        for given in self.queues:
            connection, _, queue = given.partition(":")
            config = manager.config(connection)
            names.append((config.name, queue or config.queue))
        limits = Limits(self.most, self.max_age, self.remind, self.max_failed, self.within)
        watch(manager, names, limits)
