"""Jobs with bounds of their own, on real workers: a grace at a stop, and memory."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from onqueue import dispatch_many
from onqueue.worker.bounds import FACTOR
from onqueue.worker.processes import resident_memory
from support.thread_jobs import CutAtStop, Hoard, Linger, Stage
from support.worker_jobs import Quick


@pytest.fixture
def stage(tmp_path: Path, redis_url: str) -> Iterator[Stage]:
    stage = Stage(tmp_path, redis_url)
    yield stage
    stage.close()


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_interruptible_job_hears_of_the_stop_and_is_cut_after_its_grace(
    stage: Stage, concurrency: int
) -> None:
    """K20, B13."""
    worker = stage.work(concurrency=concurrency)
    CutAtStop("long", 30.0).dispatch()
    stage.wait_for("start", 1)
    worker.signal(signal.SIGINT)
    stage.until(lambda: not worker.is_alive())
    assert len(stage.lines(f"heard:{int(signal.SIGINT)}")) == 1
    assert stage.lines("end") == []
    assert stage.manager.connection().size("default").ready == 1
    stage.work(concurrency=concurrency)
    assert [line.attempts for line in stage.wait_for("start", 2)] == [1, 1]


def test_what_is_not_interruptible_runs_to_its_end_beside_what_is(stage: Stage) -> None:
    """K20."""
    worker = stage.work(concurrency=4)
    dispatch_many([CutAtStop("cut", 30.0), Linger("whole", 1.2)])
    stage.wait_for("start", 2)
    worker.signal(signal.SIGTERM)
    stage.until(lambda: not worker.is_alive())
    assert [line.label for line in stage.lines("end")] == ["whole"]
    assert stage.manager.connection().size("default").ready == 1


def test_after_a_job_that_took_too_much_memory_its_process_is_replaced(stage: Stage) -> None:
    dispatch_many([Hoard("much", 220), Quick("after")])
    stage.work(concurrency=1)
    [end] = stage.wait_for("end", 1)
    [after] = stage.wait_for("ran", 1)
    assert after.pid != end.pid
    assert stage.workers[0].is_alive()
    assert stage.failures() == []


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_job_that_takes_far_too_much_memory_is_killed_and_alone_pays(
    stage: Stage, concurrency: int
) -> None:
    Linger("beside", 1.5).dispatch()
    stage.work(concurrency=concurrency)
    stage.wait_for("start", 1)
    # However much this process has: its forks are killed for 150 MiB more, and this takes 500.
    limit = (resident_memory() + 150) / FACTOR
    job_id = Hoard("heap", 500, seconds=300, limit=limit).dispatch()
    stage.wait_for("failed:MemoryExceeded", 1)
    [end] = stage.wait_for("end", 1)
    assert stage.failures() == [(job_id, "MemoryExceeded", 1)]
    assert (end.label, end.attempts) == ("beside", 1)
