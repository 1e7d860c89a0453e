"""Checked by mypy and pyright, never run: what the public names promise to those who write jobs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, assert_type

import onqueue
from onqueue import Job, QueueManager, events
from onqueue.middleware import (
    DatabaseTransaction,
    Middleware,
    Next,
    WithoutOverlapping,
    run_pipeline,
)
from onqueue.schedule import Entry, Schedule
from onqueue.telling import log_events
from onqueue.telling.metrics import Metrics
from onqueue.telling.tracing import Tracing
from onqueue.testing import (
    BusFake,
    FakeClock,
    Pushed,
    QueueFake,
    bus_fake,
    chained_batch,
    queue_fake,
)


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


assert_type(onqueue.dispatch(job), str)
assert_type(onqueue.dispatch(shrink, "a.png", width=50), str)
assert_type(onqueue.dispatch(lambda: None, name="Nothing", catch=hear), str)
onqueue.call(shrink, "a.png").on_queue("images").delay(5).named("Shrink").catch(hear).dispatch()


class Secret(Job):
    version = 2
    encrypted = True

    code: str

    def handle(self) -> None: ...


@Secret.upcaster(1)
def double(data: dict[str, Any]) -> dict[str, Any]:
    """Bring old data up to date."""
    return data | {"code": data["code"] * 2}


onqueue.alias("OldSecret", Secret)
QueueManager("null", {}, app_keys=[("2026-11", b"32 bytes")], dont_retry=(ValueError,))
QueueManager("null", {}, dont_retry=lambda error: "no" in str(error))

plan = onqueue.chain([job, len, onqueue.batch([job, [job, job]])]).on_queue("slow").catch(print)
assert_type(plan.dispatch(), str)
pending = onqueue.batch([job, onqueue.chain([job])]).allow_failures().then(print).finally_(job)
assert_type(pending.dispatch(), onqueue.Batch)
assert_type(onqueue.find_batch("id"), onqueue.Batch | None)
assert_type(job.batch, onqueue.Batch | None)

schedule = Schedule(timezone="Europe/Berlin")
assert_type(schedule.job(ExportSheet(5), "sheet").daily_at("07:00").catch_up("last"), Entry)
schedule.job(lambda: ExportSheet(6), "other").every(minutes=5).without_overlapping("queue")


@events.job_failed.connect
def note(event: events.JobFailed) -> None:
    """Hear of a failure."""
    assert_type(event.error, BaseException)


with queue_fake(ExportSheet) as queue:
    assert_type(queue.assert_pushed(ExportSheet, lambda one: one.sheet == 5), list[ExportSheet])
    assert_type(queue, QueueFake)
    assert_type(queue.pushed, list[Pushed])

with bus_fake() as bus:
    assert_type(bus, BusFake)
    bus.assert_chained([ExportSheet(5), ExportSheet, chained_batch(lambda one: one.allow_failures)])


class Long(Job):
    interruptible = 20
    memory_limit = 512
    unique = True
    unique_for = timedelta(hours=1)

    rows: list[int]

    def fair_key(self) -> tuple[str, int]:
        return "acme", 3

    def unique_id(self) -> int:
        return len(self.rows)

    def middleware(self) -> Sequence[Middleware]:
        return [DatabaseTransaction(), pass_on]

    async def handle(self) -> None:
        for row in self.checkpoint.each(self.rows):
            assert_type(row, int)
            self.report_progress(row, note="a row")
        assert_type(self.checkpoint.step("count", lambda: len(self.rows)), int)
        if self.should_stop or self.cancelled:
            self.snooze(0)


def pass_on(job: Job, inner: Next) -> None:
    """Be a middleware."""
    run_pipeline(job, [pass_on], inner)


run = Long([1]).with_fake_queue_interactions()
run.assert_released(delay=5)
onqueue.cancel("id", grace=5)
progress = onqueue.progress_of("id")
if progress is not None:
    assert_type(progress.percent, float | None)

with onqueue.using(manager):
    assert_type(onqueue.current_manager(), QueueManager)
try:
    job.dispatch_sync()
except onqueue.errors.UniqueJobExists as taken:
    assert_type(taken.owner, str)
except onqueue.OnQueueError:
    pass
made: tuple[type[Job], ...] = (onqueue.CallFunction, onqueue.CallClosure)
links: onqueue.Chain = onqueue.chain([job]).on_skip("stop")
members: onqueue.PendingBatch = onqueue.batch([links]).name("Links")
QueueManager("null", {}, clock=FakeClock())
for install in (Metrics().install, log_events):
    install()()
Tracing().install(manager)()
