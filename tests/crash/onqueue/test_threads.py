"""A worker that is killed with eight jobs running: all of these come back, and nothing is lost."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from onqueue import dispatch_many
from support.thread_jobs import Linger, Stage
from support.worker_jobs import LEASE, Again

pytestmark = pytest.mark.crash


@pytest.fixture
def stage(tmp_path: Path, redis_url: str) -> Iterator[Stage]:
    stage = Stage(tmp_path, redis_url)
    yield stage
    stage.close()


@pytest.mark.parametrize("victim", ["child", "parent", "group"])
def test_a_kill_with_eight_running_counts_each_of_them_once(stage: Stage, victim: str) -> None:
    """C1, B2.

    Where only the process with the jobs dies, one of these may have done it, and no other pays.
    """
    worker = stage.work(lease=LEASE if victim == "child" else 2.0)
    dispatch_many([Again(str(number)) for number in range(8)])
    [*_, last] = stage.wait_for("start", 8)
    dispatch_many([Linger(f"waiting{number}", 0.1) for number in range(4)])
    match victim:
        case "child":
            os.kill(last.pid, signal.SIGKILL)
        case "parent":
            worker.signal(signal.SIGKILL)
        case _:
            worker.signal(signal.SIGKILL, group=True)
    if victim != "child":
        stage.until(lambda: not worker.is_alive())
        stage.work()
    stage.wait_for("end", 12)
    stage.until(stage.is_empty)
    attempts = {line.label: line.attempts for line in stage.lines("end")}
    assert attempts == {
        **{str(number): 1 if victim == "child" else 2 for number in range(8)},
        **{f"waiting{number}": 1 for number in range(4)},
    }
    assert len(stage.lines("end")) == 12


def test_a_job_that_is_done_is_not_run_again_when_its_process_dies_later(stage: Stage) -> None:
    stage.work()
    dispatch_many([Again(f"long{number}") for number in range(4)])
    dispatch_many([Linger(f"short{number}", 0.05) for number in range(12)])
    [*_, last] = stage.wait_for("end", 12)
    stage.until(lambda: stage.manager.connection().size("default").reserved == 4)
    os.kill(last.pid, signal.SIGKILL)
    stage.wait_for("end", 16)
    stage.until(stage.is_empty)
    starts = [line.label for line in stage.lines("start")]
    assert sorted(starts) == sorted(
        [f"long{number}" for number in range(4)] * 2 + [f"short{number}" for number in range(12)]
    )
