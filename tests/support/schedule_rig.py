"""A schedule on a real broker whose clock is put where a test wants it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import redis

from onqueue import Job, QueueManager
from onqueue.clock import SystemClock
from onqueue.drivers.redis import RedisQueue
from onqueue.schedule import Schedule
from onqueue.schedule.scheduler import Scheduler
from onqueue.schedule.store import store_of
from onqueue.ticks import TickRecord


class Note(Job):
    """A job that does nothing, of which its payload tells the text."""

    text: str = ""

    def handle(self) -> None:
        """Do nothing."""


class ScheduleRig:
    """One schedule, and schedulers that look when they are told to."""

    def __init__(self, url: str, **settings: Any) -> None:
        self._url = url
        self.schedule = Schedule()
        names = ("redis", "other")
        self.manager = QueueManager(
            "redis",
            {name: {"driver": "redis", "url": url} for name in names},
            schedule=self.schedule,
            **settings,
        )
        self.schedulers: list[Scheduler] = []

    @property
    def queue(self) -> RedisQueue:
        """The connection on which the schedule is kept."""
        found = self.manager.connection("redis")
        assert isinstance(found, RedisQueue)
        return found

    def be_at(self, text: str) -> None:
        """Put the server's clock to an instant, in UTC where no other zone is named."""
        when = datetime.fromisoformat(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        for name in self.manager.configs:
            found = self.manager.connection(name)
            assert isinstance(found, RedisQueue)
            found.time_offset = when.timestamp() - SystemClock().time()

    def scheduler(self, lease: float = 15.0) -> Scheduler:
        """Return one more scheduler."""
        made = Scheduler(self.manager, lease)
        self.schedulers.append(made)
        return made

    def look(self, at: str) -> float:
        """Let the first scheduler look at an instant; return how long it would wait then."""
        self.be_at(at)
        scheduler = self.schedulers[0] if self.schedulers else self.scheduler()
        return scheduler.step()

    def history(self, entry: str) -> list[TickRecord]:
        """Return what became of an entry's ticks, the oldest first."""
        store = store_of(self.manager)
        try:
            return store.history(entry, 200)[::-1]
        finally:
            store.close()

    def told(self, entry: str) -> list[tuple[str, str, str]]:
        """Return of each tick its time, its outcome and why, the oldest first."""
        return [
            (
                datetime.fromtimestamp(one.tick / 1000, UTC).strftime("%d %H:%M"),
                one.outcome,
                one.why,
            )
            for one in self.history(entry)
        ]

    def waiting(self, connection: str = "redis", queue: str = "default") -> int:
        """Return how many jobs wait on a queue."""
        return self.manager.connection(connection).size(queue).total

    def finish(self) -> None:
        """Let all jobs of the schedule's connection be done."""
        self.queue.clear("default")

    def client(self) -> redis.Redis:
        """Return a client that looks at the server itself."""
        return redis.Redis.from_url(self._url)

    def close(self) -> None:
        """Close all sockets."""
        for scheduler in self.schedulers:
            scheduler.close()
        self.manager.close()


@contextmanager
def schedule_rig(url: str, **settings: Any) -> Iterator[ScheduleRig]:
    """Yield a rig, closed afterwards."""
    made = ScheduleRig(url, **settings)
    try:
        yield made
    finally:
        made.close()
