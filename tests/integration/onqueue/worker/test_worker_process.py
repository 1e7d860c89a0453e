"""A worker as operators have it: real processes on a real broker."""

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from onqueue import dispatch_many
from onqueue.clock import SystemClock
from support.servers import private_valkey
from support.waiting import eventually
from support.worker_jobs import (
    Again,
    Deaf,
    Die,
    Finishing,
    Fork,
    Greedy,
    HoldInterpreter,
    LeavesThread,
    Nap,
    Patient,
    Polite,
    Quick,
)
from support.worker_processes import App, WorkerProcess, labels


@pytest.fixture
def app(tmp_path: Path, redis_url: str) -> Iterator[App]:
    app = App(tmp_path, redis_url)
    yield app
    app.close()


@pytest.fixture
def brief(tmp_path: Path, redis_url: str) -> Iterator[App]:
    """An application whose leases end soon, for jobs that come back only then."""
    app = App(tmp_path, redis_url, lease=2.0)
    yield app
    app.close()


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


# ---- ending by itself ----


def test_a_worker_runs_what_waits_in_order_and_ends_when_asked_to(app: App) -> None:
    dispatch_many([Quick(str(number)) for number in range(300)])
    assert app.work("--stop-when-empty").ends() == 0
    assert labels(app.lines("ran")) == [str(number) for number in range(300)]
    assert app.is_empty()


def test_once_runs_one_job_and_leaves_the_rest(app: App) -> None:
    """C17."""
    dispatch_many([Quick("a"), Quick("b")])
    assert app.work("--once").ends() == 0
    assert labels(app.lines("ran")) == ["a"]
    assert app.size() == 1


def test_a_limit_of_jobs_holds_over_children_that_die(app: App) -> None:
    """K23."""
    Die("d", "kill", times=1).dispatch()
    dispatch_many([Quick("a"), Quick("b"), Quick("c")])
    assert app.work("--max-jobs=3").ends() == 0
    assert len(app.lines("start")) + len(app.lines("ran")) == 3


def test_the_memory_limit_has_the_exit_code_12(app: App) -> None:
    """K18."""
    dispatch_many([Greedy("g", 200), Quick("after")])
    assert app.work("--memory=150").ends() == 12
    assert labels(app.lines("ran")) == ["g"]
    assert app.size() == 1


def test_max_time_ends_an_idle_worker(app: App) -> None:
    """K23."""
    assert app.work("--max-time=0.5").ends() == 0


def test_queues_are_served_in_strict_priority(app: App) -> None:
    """K37."""
    dispatch_many([Quick(f"low{number}").on_queue("low") for number in range(5)])
    dispatch_many([Quick(f"high{number}").on_queue("high") for number in range(20)])
    assert app.work("--queue=high,low", "--stop-when-empty").ends() == 0
    assert [label[:3] for label in labels(app.lines("ran"))] == ["hig"] * 20 + ["low"] * 5


def test_an_idle_worker_is_woken_by_a_new_and_by_a_due_job(tmp_path: Path, redis_url: str) -> None:
    """What is not woken would look after five minutes, for which no test waits."""
    app = App(tmp_path, redis_url, block_for=300.0)
    try:
        app.work()
        Quick("warm").dispatch()
        app.wait_for("ran", "warm")
        Quick("now").dispatch()
        app.wait_for("ran", "now")
        pushed = SystemClock().monotonic()
        Quick("later").delay(0.5).dispatch()
        [line] = app.wait_for("ran", "later")
        assert line.at - pushed > 0.45
    finally:
        app.close()


# ---- signals ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("to_group", [False, True])
def test_a_stop_signal_finishes_the_running_job_and_gives_the_rest_back(
    app: App, number: int, *, to_group: bool
) -> None:
    """K20."""
    worker = app.work()
    dispatch_many([Quick(str(count)) for count in range(100)])
    dispatch_many([Finishing("long"), Nap("next", 0.1), Nap("last", 0.1)])
    app.wait_for("start", "long")
    (worker.signal_group if to_group else worker.signal)(number)
    assert worker.ends() == 0
    assert labels(app.lines("end")) == ["long"]
    assert app.size() == 2
    assert app.work("--stop-when-empty").ends() == 0
    assert [line.attempts for line in app.lines("start")] == [1, 1, 1]


def test_a_second_signal_interrupts_the_job_without_spending_its_attempt(app: App) -> None:
    """C20, B13."""
    worker = app.work()
    Nap("long", 300).dispatch()
    app.wait_for("start")
    eventually(lambda: _is_gone_or_told_again(worker))
    assert worker.ends() == 0
    assert app.size() == 1
    again = app.work()
    assert [line.attempts for line in app.wait_for("start", times=2)] == [1, 1]
    again.signal_group(signal.SIGKILL)


def test_a_job_that_watches_for_the_stop_goes_on_another_time(app: App) -> None:
    """B13."""
    worker = app.work()
    Polite("p").dispatch()
    app.wait_for("start")
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0
    assert len(app.lines("snoozed")) == 1
    assert app.size() == 1


def test_usr2_pauses_and_cont_goes_on(app: App) -> None:
    """K21."""
    worker = app.work("--sleep=1")
    Quick("a").dispatch()
    app.wait_for("ran", "a")
    worker.signal(signal.SIGUSR2)
    # The parent passes the signal on when it gets its turn: what came before may still run.
    stayed = next(label for label in "bcdefghi" if _stays(app, label))
    eventually(lambda: _is_idle(worker.child()))
    worker.signal(signal.SIGCONT)
    app.wait_for("ran", stayed)


def _stays(app: App, label: str) -> bool:
    Quick(label).dispatch()
    SystemClock().sleep(0.4)
    return label not in labels(app.lines("ran"))


def _is_idle(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


# ---- timeouts ----


def test_a_job_past_its_timeout_is_stopped_and_failed_when_spent(app: App) -> None:
    """K14, K16."""
    job_id = Nap("slow", 300).dispatch()
    Quick("after").dispatch()
    worker = app.work("--timeout=1")
    app.wait_for("failed:TimeoutExceeded")
    app.wait_for("ran", "after")
    assert app.failures() == [(job_id, "TimeoutExceeded", 1)]
    assert worker.popen.poll() is None
    assert app.lines("end") == []


def test_a_job_past_its_timeout_comes_back_with_its_own_backoff_at_once(
    tmp_path: Path, redis_url: str
) -> None:
    """C15, K16."""
    # What is back within a test did not wait for the lease.
    app = App(tmp_path, redis_url, lease=300.0, retry_after=300.0)
    try:
        Patient("slow", 300).dispatch()
        app.work("--timeout=1")
        starts = app.wait_for("start", times=3)
        gaps = [later.at - sooner.at for sooner, later in pairwise(starts)]
        assert [line.attempts for line in starts] == [1, 2, 3]
        assert min(gaps) > 1.2
        eventually(lambda: [failure[1:] for failure in app.failures()] == [("TimeoutExceeded", 3)])
    finally:
        app.close()


@pytest.mark.parametrize("job", [Deaf("stuck"), HoldInterpreter("stuck", 3600)])
def test_a_job_that_cannot_be_reached_is_killed_and_failed_by_a_healthy_child(
    app: App, job: Deaf | HoldInterpreter
) -> None:
    """C14."""
    job_id = job.dispatch()
    Quick("after").dispatch()
    worker = app.work("--timeout=1")
    [failed] = app.wait_for("failed:TimeoutExceeded")
    [started] = app.lines("start")
    app.wait_for("ran", "after")
    assert failed.pid != started.pid
    assert app.failures() == [(job_id, "TimeoutExceeded", 1)]
    assert worker.popen.poll() is None


def test_a_worker_that_stops_after_one_job_still_fails_the_one_it_killed(app: App) -> None:
    """C17."""
    Deaf("stuck").dispatch()
    Quick("rest").dispatch()
    assert app.work("--once", "--timeout=1").ends() == 0
    assert len(app.lines("failed:TimeoutExceeded")) == 1
    assert app.lines("ran") == []
    assert app.size() == 1


def test_the_lease_is_renewed_while_c_code_holds_the_interpreter(
    tmp_path: Path, redis_url: str
) -> None:
    """B2."""
    app = App(tmp_path, redis_url, lease=1.5)
    try:
        HoldInterpreter("c", 4).dispatch()
        workers = [app.work(), app.work()]
        [end] = app.wait_for("end")
        [start] = app.lines("start")
        assert end.at - start.at > 2.5, "not once was it longer than the lease"
        eventually(app.is_empty)
        assert all("lease" not in worker.said() for worker in workers)
    finally:
        app.close()


# ---- deaths ----


@pytest.mark.parametrize("how", ["kill", "exit", "abort", "segv"])
def test_a_job_that_kills_its_process_three_times_is_poisoned(app: App, how: str) -> None:
    job_id = Die("d", how).dispatch()
    Quick("after").dispatch()
    worker = app.work()
    app.wait_for("failed:JobPoisoned")
    app.wait_for("ran", "after")
    assert [line.attempts for line in app.lines("start")] == [1, 2, 3]
    assert app.failures() == [(job_id, "JobPoisoned", 3)]
    assert worker.popen.poll() is None


def test_a_killed_childs_jobs_are_back_at_once_and_unstarted_ones_unspent(
    tmp_path: Path, redis_url: str
) -> None:
    """C1: far sooner than the lease would end, which none of this waits for."""
    app = App(tmp_path, redis_url, lease=300.0, retry_after=300.0)
    try:
        worker = app.work()
        dispatch_many([Quick(str(number)) for number in range(50)])
        dispatch_many([Again("long"), Quick("next")])
        [first] = app.wait_for("start", "long")
        os.kill(first.pid, signal.SIGKILL)
        second = app.wait_for("start", "long", times=2)[1]
        assert (second.attempts, app.wait_for("ran", "next")[0].attempts) == (2, 1)
        assert worker.popen.poll() is None
    finally:
        app.close()


def test_a_child_dies_with_its_parent_and_its_job_is_back_after_the_lease(brief: App) -> None:
    """B2."""
    worker = brief.work()
    Again("long").dispatch()
    [start] = brief.wait_for("start")
    worker.signal(signal.SIGKILL)
    eventually(lambda: not _is_alive(start.pid))
    brief.work()
    assert brief.wait_for("start", times=2)[1].attempts == 2


def test_a_stopped_parent_cannot_keep_its_child_working_past_the_lease(brief: App) -> None:
    """C34, B1."""
    worker = brief.work()
    Nap("long", 300).dispatch()
    [start] = brief.wait_for("start")
    worker.signal(signal.SIGSTOP)
    eventually(lambda: not _is_alive(start.pid))
    worker.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("exits", "unseen", "status"),
    [(False, False, 0), (True, False, 3), (False, True, 0), (True, True, 0)],
)
def test_a_process_that_a_job_forked_does_not_work_on_beside_its_worker(
    app: App, *, exits: bool, unseen: bool, status: int
) -> None:
    """What C code forks Python does not see, and the worker at the next trip."""
    Fork("a", exits=exits, unseen=unseen).dispatch()
    Quick("b").dispatch()
    worker = app.work("--stop-when-empty")
    assert worker.ends() == 0
    assert [(line.label, line.what) for line in app.lines()] == [
        ("a", f"status:{status}"),
        ("b", "ran"),
    ]
    assert app.is_empty()


def test_a_worker_needs_no_output(app: App) -> None:
    Quick("a").dispatch()
    worker = app.work("--stop-when-empty", outputs=False)
    assert worker.ends() == 0
    assert labels(app.lines()) == ["a"]


def test_a_thread_left_behind_does_not_keep_a_worker_from_ending(app: App) -> None:
    LeavesThread("t").dispatch()
    assert app.work("--stop-when-empty").ends() == 0


# ---- prefetch ----


def test_what_waits_behind_a_long_job_goes_to_another_worker(app: App) -> None:
    app.work()
    dispatch_many([Quick(str(number)) for number in range(200)])
    app.wait_for("ran", times=200)
    dispatch_many([Quick("q"), Nap("long", 300), *[Quick(f"behind{n}") for n in range(20)]])
    app.wait_for("start", "long")
    app.work()
    app.wait_for("ran", "behind19")


# ---- the broker and operators ----


def test_a_restart_that_was_asked_for_ends_the_worker_for_its_supervisor(app: App) -> None:
    """K22."""
    worker = app.work()
    Quick("a").dispatch()
    app.wait_for("ran", "a")
    app.manager.connection().request_restart()  # type: ignore[attr-defined]
    assert worker.ends() == 0


def test_a_paused_queue_is_left_alone_until_it_is_resumed(app: App) -> None:
    """K27."""
    app.manager.connection().pause("default", "test")
    Quick("a").dispatch()
    worker = app.work()
    Quick("b").on_queue("other").dispatch()
    assert app.work("--queue=default,other", "--stop-when-empty").ends() == 0
    assert labels(app.lines("ran")) == ["b"]
    app.manager.connection().resume("default")
    app.wait_for("ran", "a")
    assert worker.popen.poll() is None


def test_a_forced_worker_works_on_a_paused_queue(app: App) -> None:
    app.manager.connection().pause(None, "maintenance")
    Quick("a").dispatch()
    assert app.work("--stop-when-empty").ends() == 0
    assert app.lines() == []
    assert app.work("--stop-when-empty", "--force").ends() == 0
    assert labels(app.lines("ran")) == ["a"]


@pytest.mark.parametrize("option", ["--once", "--stop-when-empty"])
def test_without_a_broker_a_worker_that_ends_by_itself_says_so(tmp_path: Path, option: str) -> None:
    """C24."""
    app = App(tmp_path, f"unix://{tmp_path}/none.sock")
    worker = app.work(option)
    assert worker.ends() == 1
    assert "cannot be reached" in worker.said()


@pytest.mark.parametrize("away", [0.3, 3.0])
def test_a_worker_outlives_its_broker_and_goes_on_when_it_is_back(
    tmp_path: Path, away: float
) -> None:
    """C26."""
    with private_valkey() as server:
        app = App(tmp_path, server.url, lease=1.0)
        try:
            worker = app.work("--tries=3")
            Quick("before").dispatch()
            app.wait_for("ran", "before")
            Nap("during", 0.5).dispatch()
            app.wait_for("start", "during")
            server.kill()
            SystemClock().sleep(away)
            server.start()
            Quick("after").dispatch()
            app.wait_for("ran", "after")
            app.wait_for("end", "during")
            eventually(app.is_empty)
            assert worker.popen.poll() is None
        finally:
            app.close()


def test_an_unknown_connection_is_refused_with_the_nearest_name(app: App) -> None:
    worker = app.work("redsi")
    assert worker.ends() == 1
    assert "did you mean 'redis'" in worker.said()


def _is_gone_or_told_again(worker: WorkerProcess) -> bool:
    """Two signals at the same moment may arrive as one, so it is asked until it ends."""
    if worker.popen.poll() is None:
        worker.signal(signal.SIGTERM)
        return False
    return True
