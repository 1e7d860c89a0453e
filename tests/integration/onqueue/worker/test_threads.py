"""A worker with several threads, as real processes on a real broker."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from onqueue import dispatch_many
from support.servers import private_valkey
from support.thread_jobs import AsyncLinger, AsyncMeeting, Linger, Meeting, Stage
from support.worker_jobs import Again, Die, Finishing, HoldInterpreter, Quick


@pytest.fixture
def stage(tmp_path: Path, redis_url: str) -> Iterator[Stage]:
    stage = Stage(tmp_path, redis_url)
    yield stage
    stage.close()


def _ended(stage: Stage) -> int:
    """Return the exit code of the one worker, once it is gone."""
    [worker] = stage.workers
    _, status = os.waitpid(worker.pid, 0)
    worker.pid = 0
    return os.waitstatus_to_exitcode(status)


def test_eight_jobs_run_at_once_and_many_are_run_once_each(stage: Stage) -> None:
    dispatch_many([Meeting(f"m{number}", 8) for number in range(8)])
    dispatch_many([Quick(f"q{number}") for number in range(500)])
    stage.work(stop_when_empty=True)
    assert _ended(stage) == 0
    assert len(stage.lines("end")) == 8
    assert set(Counter(line.label for line in stage.lines("ran")).values()) == {1}
    assert len(stage.lines("ran")) == 500
    assert stage.is_empty()


def test_async_jobs_share_one_loop_of_one_process(stage: Stage) -> None:
    dispatch_many([AsyncMeeting(f"m{number}", 8) for number in range(8)])
    stage.work(stop_when_empty=True)
    assert _ended(stage) == 0
    ends = stage.lines("end")
    assert len(ends) == 8
    assert len({line.pid for line in ends}) == 1


def test_all_threads_keep_to_the_core_that_was_named(stage: Stage) -> None:
    core = max(os.sched_getaffinity(0))
    stage.work(core=-1)  # the last
    Quick("one").dispatch()
    stage.wait_for("ran", 1)
    tasks = [*Path(f"/proc/{stage.lines('ran')[0].pid}/task").iterdir()]
    assert len(tasks) > 2
    assert {frozenset(os.sched_getaffinity(int(task.name))) for task in tasks} == {
        frozenset((core,))
    }


def test_a_limit_of_jobs_is_exact_over_threads(stage: Stage) -> None:
    """K23."""
    dispatch_many([Quick(str(number)) for number in range(40)])
    stage.work(max_jobs=13)
    assert _ended(stage) == 0
    assert len(stage.lines("ran")) == 13
    assert stage.manager.connection().size("default").ready == 27


def test_an_idle_crew_is_woken_by_new_and_by_due_jobs(stage: Stage) -> None:
    stage.work()
    for number in range(3):
        Quick(str(number)).dispatch()
        stage.wait_for("ran", number + 1)
    dispatch_many([Quick("due").delay(0.3), Quick("due2").delay(0.3)])
    stage.wait_for("ran", 5)
    stage.until(stage.is_empty)


def test_a_stop_finishes_the_running_jobs_of_all_threads(stage: Stage) -> None:
    """K20."""
    worker = stage.work()
    dispatch_many([Finishing(str(number)) for number in range(12)])
    stage.wait_for("start", 8)
    worker.signal(signal.SIGTERM)
    assert _ended(stage) == 0
    assert len(stage.lines("end")) == 8
    assert stage.manager.connection().size("default").ready == 4


@pytest.mark.parametrize("kind", [Linger, AsyncLinger])
def test_a_second_signal_interrupts_all_of_them_and_spends_nothing(
    stage: Stage, kind: type[Linger] | type[AsyncLinger]
) -> None:
    """C20, B13."""
    worker = stage.work()
    dispatch_many([kind(str(number), 300.0) for number in range(8)])
    stage.wait_for("start", 8)
    worker.signal(signal.SIGTERM)
    while worker.is_alive():
        worker.signal(signal.SIGTERM)
        stage.manager.clock.sleep(0.05)
    assert stage.manager.connection().size("default").ready == 8
    again = stage.work()
    assert {line.attempts for line in stage.wait_for("start", 16)} == {1}
    again.end()


def test_a_timeout_in_one_thread_leaves_the_others_alone(stage: Stage) -> None:
    """K14."""
    slow = Linger("slow", 300.0)
    slow.timeout = 0.5
    slow.tries = 1
    job_id = slow.dispatch()
    dispatch_many([Linger(str(number), 1.0) for number in range(7)])
    stage.work()
    ends = stage.wait_for("end", 7)
    assert stage.failures() == [(job_id, "TimeoutExceeded", 1)]
    assert {line.attempts for line in ends} == {1}
    assert len({line.pid for line in stage.lines("start")}) == 1


def test_only_the_job_that_holds_the_interpreter_pays_when_the_process_is_killed(
    stage: Stage,
) -> None:
    """C14."""
    dispatch_many([Again(str(number)) for number in range(7)])
    stage.work()
    stage.wait_for("start", 7)
    stuck = HoldInterpreter("stuck", 3600)
    stuck.timeout = 0.5
    job_id = stuck.dispatch()
    stage.wait_for("failed:TimeoutExceeded", 1)
    ends = stage.wait_for("end", 7)
    assert stage.failures() == [(job_id, "TimeoutExceeded", 1)]
    assert {line.attempts for line in stage.lines("start")} == {1}
    assert len(stage.lines("start")) == 15
    assert len({line.label for line in ends}) == 7


def test_what_waits_behind_long_jobs_goes_to_another_worker(stage: Stage) -> None:
    stage.work(concurrency=2)
    dispatch_many([Quick(str(number)) for number in range(200)])
    stage.wait_for("ran", 200)
    jobs = [Quick("q"), Linger("a", 300.0), Linger("b", 300.0)]
    dispatch_many([*jobs, *(Quick(f"behind{number}") for number in range(20))])
    stage.wait_for("start", 2)
    stage.work(concurrency=2)
    stage.wait_for("ran", 221)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_worker_that_is_to_stop_when_empty_says_so_when_its_broker_goes_away(
    tmp_path: Path, concurrency: int
) -> None:
    """C24."""
    with private_valkey() as server:
        stage = Stage(tmp_path, server.url)
        try:
            Linger("a", 0.3).dispatch()
            stage.work(lease=0.6, concurrency=concurrency, stop_when_empty=True)
            stage.wait_for("start", 1)
            server.kill()
            assert _ended(stage) == 1
        finally:
            stage.close()


def test_a_job_that_kills_its_process_costs_no_neighbour_an_attempt(stage: Stage) -> None:
    """Who killed a process with several jobs nobody knows, so each of them is run alone."""
    neighbours = [Again(f"n{number}") for number in range(5)]
    for neighbour in neighbours[:3]:
        neighbour.tries = 1
    dispatch_many(neighbours)
    stage.work()
    stage.wait_for("start", 5)
    job_id = Die("d", "kill").dispatch()
    stage.wait_for("failed:JobPoisoned", 1)
    stage.until(stage.is_empty)
    starts, ends = stage.lines("start"), stage.lines("end")
    assert Counter(line.label for line in starts)["d"] == 4
    assert Counter(line.label for line in starts)["n0"] == 2
    assert Counter(line.label for line in ends) == {f"n{number}": 1 for number in range(5)}
    assert {line.attempts for line in ends} == {1}
    assert [(one, error) for one, error, _ in stage.failures()] == [(job_id, "JobPoisoned")]
