"""Checked by mypy, never run: what the public names promise to those who write jobs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, assert_type

import onqueue
from onqueue import Job, QueueManager, events
from onqueue.middleware import Middleware, WithoutOverlapping
from onqueue.schedule import Entry, Schedule
from onqueue.testing import queue_fake


class Storage:
    """A dependency."""


class ExportSheet(Job):
    connection = "redis-long"
    queue = "exports"
    tries = 3
    timeout = timedelta(minutes=10)
    backoff = (10, 30, 60)
    durable = True

    sheet: int
    title: str = "Sheet"

    def middleware(self) -> Sequence[Middleware]:
        return [WithoutOverlapping(self.sheet).expire_after(900)]

    def retry_until(self) -> timedelta:
        return timedelta(hours=self.sheet)

    def handle(self, storage: Storage) -> None:
        assert_type(self.attempts, int)
        assert_type(self.tenant, str | None)
        self.release(10)


manager = QueueManager(
    default="redis",
    connections={"redis": {"driver": "redis", "url": "redis://127.0.0.1:6379/0"}},
    failed={"driver": "null"},
)
onqueue.use(manager)

job = ExportSheet(5, title="Guests")
assert_type(job.sheet, int)
assert_type(job.on_queue("slow").delay(minutes=5).after_commit(), ExportSheet)
assert_type(job.dispatch(), str)
assert_type(job.dispatch_if(1), str | None)
assert_type(onqueue.dispatch_many([job]), list[str])

assert_type(job.dispatch_after_response(), str)


def shrink(path: str, width: int = 100, *, storage: Storage = onqueue.injected) -> None:
    """Have arguments and a dependency."""


def hear(error: BaseException, storage: Storage) -> None:
    """Hear of a failure, with a dependency."""


def hear_of_letters(error: str) -> None:
    """Want no error."""


assert_type(onqueue.dispatch(job), str)
assert_type(onqueue.dispatch(shrink, "a.png", width=50), str)
assert_type(onqueue.dispatch(lambda: None, name="Nothing", catch=hear), str)
onqueue.call(shrink, "a.png").on_queue("images").delay(5).named("Shrink").catch(hear).dispatch()
onqueue.dispatch(shrink, 5)  # type: ignore[call-overload]
onqueue.dispatch(shrink, "a.png", wide=5)  # type: ignore[call-arg]
onqueue.call(shrink)  # type: ignore[call-arg]
onqueue.call(shrink, "a.png").catch(hear_of_letters)  # type: ignore[arg-type]


class Secret(Job):
    version = 2
    encrypted = True

    code: str

    def handle(self) -> None: ...


@Secret.upcaster(1)
def double(data: dict[str, Any]) -> dict[str, Any]:
    """Bring old data up to date."""
    return data | {"code": data["code"] * 2}


@Secret.upcaster(1)  # type: ignore[type-var]
def wrong(data: int) -> str:
    """Neither take nor return data."""
    return str(data)


onqueue.alias("OldSecret", Secret)
QueueManager("null", {}, app_keys=[("2026-11", b"32 bytes")], dont_retry=(ValueError,))
QueueManager("null", {}, dont_retry=lambda error: "no" in str(error))
QueueManager("null", {}, app_keys=["no pair"])  # type: ignore[list-item]

plan = onqueue.chain([job, len, onqueue.batch([job, [job, job]])]).on_queue("slow").catch(print)
assert_type(plan.dispatch(), str)
pending = onqueue.batch([job, onqueue.chain([job])]).allow_failures().then(print).finally_(job)
assert_type(pending.dispatch(), onqueue.Batch)
assert_type(onqueue.find_batch("id"), onqueue.Batch | None)
assert_type(job.batch, onqueue.Batch | None)
onqueue.chain([5])  # type: ignore[list-item]

schedule = Schedule(timezone="Europe/Berlin")
assert_type(schedule.job(ExportSheet(5), "sheet").daily_at("07:00").catch_up("last"), Entry)
schedule.job(lambda: ExportSheet(6), "other").every(minutes=5).without_overlapping("queue")
schedule.job(ExportSheet(5)).catch_up("some")  # type: ignore[arg-type]
schedule.job(lambda: 5, "five")  # type: ignore[arg-type, return-value]

ExportSheet()  # type: ignore[call-arg]
ExportSheet("five")  # type: ignore[arg-type]


@events.job_failed.connect
def note(event: events.JobFailed) -> None:
    """Hear of a failure."""
    assert_type(event.error, BaseException)


with queue_fake(ExportSheet) as queue:
    assert_type(queue.assert_pushed(ExportSheet, lambda one: one.sheet == 5), list[ExportSheet])
