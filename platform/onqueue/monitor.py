"""Watches how full queues are, how old their oldest job is, how many fail; tells each breach once.

Whether a breach was told is kept in the broker, so any number of monitors may run, be started by a
schedule or die: one of them tells that it began, and one that it is over.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from onqueue import events
from onqueue.contracts import Alarm
from onqueue.errors import UnsupportedByDriver
from onqueue.stores import FailedFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.connections import QueueManager
    from onqueue.contracts import Inspection, Queue

log = logging.getLogger("onqueue.monitor")

LOOK_AT = 10
"""Ready jobs at the head of a queue among which the oldest is looked for."""

NEWS: dict[Alarm, Literal["began", "goes on", "over"]] = {
    Alarm.BEGAN: "began",
    Alarm.GOES_ON: "goes on",
    Alarm.OVER: "over",
}
"""What an alarm's answer is called in an event."""


@runtime_checkable
class Inspectable(Protocol):
    """A connection that can be looked at."""

    def inspection(self) -> Inspection:
        """Return what looks."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a queue may come to: jobs without an outcome, seconds since the oldest was dispatched.

    None: not watched. After `remind` seconds (0: never) a breach that goes on is told again.
    `failed` is how many of its jobs may have failed for good within so many seconds.
    """

    size: int | None = 1000
    age: float | None = None
    remind: float = 0.0
    failed: int | None = None
    within: float = 3600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A queue as the monitor found it; `age` is None when nothing is ready or nobody watches it."""

    connection: str
    queue: str
    size: int
    age: float | None
    breaches: tuple[str, ...]
    failed: int | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it is at a limit."""
        return bool(self.breaches)


def inspection_of(target: Queue, purpose: str) -> Inspection:
    """Return what looks at a connection; raises `UnsupportedByDriver`."""
    if not isinstance(target, Inspectable):
        raise UnsupportedByDriver(purpose, target.name, target.config.driver, "inspection")
    return target.inspection()


def watch(manager: QueueManager, queues: Sequence[tuple[str, str]], limits: Limits) -> list[Seen]:
    """Look at queues, given as (connection, queue), and send `queue_busy` for what is news.

    Raises `UnsupportedByDriver` before anything is told when one of them cannot be watched.
    """
    targets = [(manager.connection(connection), queue) for connection, queue in queues]
    looking = [inspection_of(target, "queue monitor") for target, _ in targets]
    return [
        _watch_one(manager, target, queue, inspection, limits)
        for (target, queue), inspection in zip(targets, looking, strict=True)
    ]


def oldest_age(inspection: Inspection, queue: str, now: float) -> float | None:
    """Return seconds since the oldest of the next ready jobs was dispatched, None without any."""
    moments = [at for job in inspection.jobs(queue, "ready", LOOK_AT) if (at := _sent(job.payload))]
    return max(0.0, now - min(moments)) if moments else None


def _watch_one(
    manager: QueueManager, target: Queue, queue: str, inspection: Inspection, limits: Limits
) -> Seen:
    size = target.size(queue).total
    age = None
    breaches = []
    if limits.size is not None:
        if size >= limits.size:
            breaches.append("size")
        _settle(inspection, target, queue, ("size", size, limits.size), limits.remind)
    if limits.age is not None:
        age = oldest_age(inspection, queue, manager.clock.time())
        if (age or 0.0) >= limits.age:
            breaches.append("age")
        _settle(inspection, target, queue, ("age", age or 0.0, limits.age), limits.remind)
    failed = None
    if limits.failed is not None:
        since = manager.clock.now() - timedelta(seconds=limits.within)
        failed = manager.failed.count(FailedFilter(target.name, queue, since=since))
        if failed >= limits.failed:
            breaches.append("failed")
        _settle(inspection, target, queue, ("failed", failed, limits.failed), limits.remind)
    return Seen(target.name, queue, size, age, tuple(breaches), failed)


def _settle(
    inspection: Inspection,
    target: Queue,
    queue: str,
    found: tuple[Literal["size", "age", "failed"], float, float],
    remind: float,
) -> None:
    measure, value, limit = found
    news = inspection.alarm(f"{measure}:{queue}", on=value >= limit, remind=remind)
    if news == Alarm.NOTHING:
        return
    event = events.QueueBusy(target.name, queue, measure, value, limit, NEWS[news])
    level = logging.INFO if news == Alarm.OVER else logging.WARNING
    words = (event.connection, event.queue, measure, value, limit, event.news)
    log.log(level, "queue %s:%s, %s %g of %g: %s", *words)
    events.tell(events.queue_busy, event)


def _sent(payload: bytes) -> float | None:
    try:
        return float(json.loads(payload)["at"]) / 1000
    except (ValueError, TypeError, KeyError):
        # Whoever runs it says what is wrong with it; its age nobody knows.
        return None
