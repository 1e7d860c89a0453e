"""Checked by mypy and pyright, never run: each line that is marked must be flagged as marked.

A mark that has nothing to silence is itself an error for both checkers.
"""

import onqueue
from onqueue import Job, QueueManager
from onqueue.limits import Limit, RateLimiter, throttle
from onqueue.middleware import FailOnException, RateLimited, WithoutOverlapping
from onqueue.schedule import Schedule
from onqueue.testing import queue_fake


class Resize(Job):
    width: int

    def handle(self) -> None: ...


class Dropped(Job):
    tries = "three"  # type: ignore[assignment]
    queue = 5  # type: ignore[assignment]

    def middleware(self) -> int:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return 5

    def handle(self) -> None: ...


class Odd(Job):
    def fair_key(self) -> list[str]:  # type: ignore[override]
        return []

    def handle(self) -> None: ...


def shrink(path: str, width: int = 100) -> None:
    """Have arguments."""


def hear_of_letters(error: str) -> None:
    """Want no error."""


job = Resize(5)
schedule = Schedule()

Resize()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Resize("five")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Resize(5, height=7)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
job.on_queue(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
job.delay("soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
job.delay(days=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
job.dispatch("redis")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
str(job.widht)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
job.snooze("a while")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
length: int = job.dispatch()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

onqueue.dispatch(shrink, 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
onqueue.dispatch(shrink, "a.png", wide=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
onqueue.call(shrink)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
onqueue.call(shrink, "a.png").catch(hear_of_letters)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
onqueue.dispatch_many([5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
onqueue.chain([5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
onqueue.chain([job]).on_skip("maybe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
onqueue.batch(job)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
onqueue.batch([job]).then("done")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
onqueue.find_batch(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
onqueue.cancel("id", grace="short")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
onqueue.use("redis")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

QueueManager("null")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
QueueManager("null", {}, app_keys=["no pair"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
QueueManager("null", {}, dont_retry=[ValueError])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
onqueue.alias(Resize, "OldResize")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

throttle("k").every("a minute")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Limit.per_second("5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
RateLimiter.define("none", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
RateLimited(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
WithoutOverlapping("k").expire_after("soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
FailOnException([5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]

schedule.job(job).catch_up("some")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
schedule.job(lambda: 5, "five")  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]

with queue_fake(job) as queue:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    queue.assert_pushed(Resize, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@Resize.upcaster(1)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportUntypedFunctionDecorator]
def wrong(data: int) -> str:
    """Neither take nor return data."""
    return str(data)
