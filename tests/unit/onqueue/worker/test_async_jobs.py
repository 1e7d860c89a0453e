"""An async `handle` on the child's event loop: alone, many at once, cut short, and in place."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import svcs

import onqueue
from onqueue import Job, QueueManager, coroutines
from onqueue.clock import SystemClock
from onqueue.errors import JobTimedOut
from onqueue.job_context import running
from onqueue.worker.cutting import Cutter
from onqueue.worker.shared import Cut, Exit
from onqueue.worker.stopping import StopReason
from support.child_crew import CrewBench
from support.child_loop import Bench
from support.waiting import eventually

RUNS: list[Any] = []

_clock = SystemClock()


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    RUNS.clear()


class Hello(Job):
    label: str = "a"

    async def handle(self) -> None:
        await asyncio.sleep(0)
        RUNS.append((self.label, self.attempts, threading.current_thread().name))


class Gathering(Job):
    """Ends when four run on one loop at the same moment."""

    async def handle(self) -> None:
        RUNS.append(asyncio.get_running_loop())
        while len(RUNS) < 4:  # noqa: ASYNC110 - seen from other tasks of the same loop
            await asyncio.sleep(0.001)


class Failing(Job):
    async def handle(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("no")


class Leaving(Job):
    async def handle(self) -> None:
        raise SystemExit(3)


class Endless(Job):
    """Waits for ever, and tidies up when it is cancelled."""

    async def handle(self) -> None:
        RUNS.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            RUNS.append("tidied")


class Around(Job):
    def middleware(self) -> list[Callable[..., Any]]:
        def around(job: Job, inner: Callable[[Job], Any]) -> None:
            RUNS.append("in")
            inner(job)
            RUNS.append("out")

        return [around]

    async def handle(self) -> None:
        await asyncio.sleep(0)
        RUNS.append(running.get() is not None)


class Pool:
    """A service made and ended on a loop."""


class WithPool(Job):
    async def handle(self, pool: Pool) -> None:
        RUNS.append(type(pool).__name__)


def test_an_async_job_runs_like_any_other_and_on_the_same_loop_as_the_next() -> None:
    bench = Bench()
    ids = [bench.put(Hello("a")), bench.put(Hello("b"))]
    bench.run()
    assert RUNS == [("a", 1, "onqueue-event-loop"), ("b", 1, "onqueue-event-loop")]
    assert [bench.consumer.settled(job_id) for job_id in ids] == [("done",)] * 2


def test_many_async_jobs_run_at_once_on_one_loop() -> None:
    bench = CrewBench(4)
    for _ in range(4):
        bench.put(Gathering())
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    assert len(RUNS) == 4
    assert len(set(RUNS)) == 1


@pytest.mark.parametrize(
    ("job", "error", "ended"),
    [
        (Failing(), "ValueError", (Exit.STOPPED, StopReason.EMPTY)),
        (Leaving(), "SystemExit", (Exit.RECYCLED, None)),
    ],
)
def test_what_an_async_job_raises_is_its_own(job: Job, error: str, ended: Any) -> None:
    bench = Bench()
    job_id = bench.put(job)
    assert bench.run() == ended
    assert bench.consumer.settled(job_id) == ("fail",)
    assert bench.failed.records[0].error_type == error


def test_sync_middleware_wraps_an_async_handle_which_knows_its_run() -> None:
    bench = Bench()
    bench.put(Around())
    bench.run()
    assert RUNS == ["in", True, "out"]


def test_a_timeout_cancels_the_task_which_may_tidy_up_and_the_child_lives_on() -> None:
    """K14."""
    bench = CrewBench(2)
    endless = bench.put(Endless())

    def cut() -> None:
        eventually(lambda: RUNS == ["begun"])
        bench.cut(endless, Cut.TIMEOUT)

    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    thread.join(5)
    assert RUNS == ["begun", "tidied"]
    assert bench.failed.records[0].error_type == "TimeoutExceeded"


def test_a_signal_cancels_the_task_of_a_child_that_runs_one_job_at_a_time() -> None:
    bench = Bench()
    slot = bench.shared.slots[0]
    bench.cutter = Cutter(lambda: (slot.number, JobTimedOut(60)))
    bench.put(Endless())

    def cut() -> None:
        eventually(lambda: RUNS == ["begun"])
        bench.cutter.strike()

    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    thread.join(5)
    assert RUNS == ["begun", "tidied"]
    assert bench.failed.records[0].error_type == "TimeoutExceeded"


def test_services_that_are_made_and_ended_on_a_loop_are_found() -> None:
    registry = svcs.Registry()

    async def make() -> AsyncIterator[Pool]:
        RUNS.append("made")
        yield Pool()
        await asyncio.sleep(0)
        RUNS.append("ended")

    registry.register_factory(Pool, make)
    bench = Bench(services=registry)
    bench.put(WithPool())
    bench.run()
    assert RUNS == ["made", "Pool", "ended"]


# ---- in place ----


@pytest.fixture
def _inline() -> Iterator[None]:
    manager = QueueManager("sync", {"sync": {"driver": "sync"}}, failed={"driver": "null"})
    onqueue.use(manager)
    yield
    manager.close()


@pytest.mark.usefixtures("_inline")
def test_dispatch_sync_runs_an_async_job_to_its_end() -> None:
    """K44."""
    Hello("now").dispatch_sync()
    assert [run[:2] for run in RUNS] == [("now", 1)]
    with pytest.raises(ValueError, match="no"):
        Failing().dispatch_sync()


@pytest.mark.usefixtures("_inline")
def test_dispatch_sync_runs_an_async_job_inside_async_code_too() -> None:
    async def page() -> None:
        Hello("inside").dispatch_sync()

    asyncio.run(page())
    assert [run[0] for run in RUNS] == ["inside"]


def test_a_flight_that_is_cancelled_before_it_begins_never_runs() -> None:
    loop = coroutines.EventLoop()

    async def never() -> None:
        RUNS.append("ran")

    flight = coroutines.Flight(never)
    flight.cancel()
    with pytest.raises(asyncio.CancelledError):
        flight.fly(loop.get())
    loop.close()
    assert RUNS == []
