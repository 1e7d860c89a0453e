"""Jobs that are cancelled from outside, waiting and running."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import onqueue
from onqueue import Job
from support.long_jobs import Invitations, Unending
from support.waiting import eventually
from support.worker_processes import App


@pytest.fixture
def app(tmp_path: Path, redis_url: str) -> Iterator[App]:
    app = App(tmp_path, redis_url, lease=2.0)
    with (tmp_path / "shop.py").open("a") as shop:
        shop.write("import support.long_jobs\n")
    yield app
    app.close()


def test_a_waiting_job_is_removed_wherever_it_waits(app: App) -> None:
    """B11."""
    waiting = [Unending("a", "polite"), Unending("b", "polite").delay(60)]
    ids = onqueue.dispatch_many(waiting)
    assert [onqueue.cancel(job_id) for job_id in ids] == ["removed", "removed"]
    assert app.is_empty()
    assert [onqueue.cancel(job_id) for job_id in ids] == ["unknown", "unknown"]


def test_a_running_job_that_looks_ends_within_a_second(app: App) -> None:
    """B11."""
    app.work()
    job_id = Unending("p", "polite").dispatch()
    app.wait_for("start")
    assert onqueue.cancel(job_id) == "asked"
    [told] = app.wait_for("told")
    eventually(app.is_empty)
    assert told.attempts == 1
    assert not app.failures()


@pytest.mark.parametrize("arguments", [(), ("--concurrency=2",)])
def test_a_running_job_that_does_not_look_is_cut_after_the_grace(
    app: App, arguments: tuple[str, ...]
) -> None:
    app.work(*arguments)
    job_id = Unending("r", "rude").dispatch()
    app.wait_for("start")
    assert onqueue.cancel(job_id, grace=0.1) == "asked"
    eventually(app.is_empty)
    assert not app.lines("told")
    assert not app.failures()
    assert len(app.lines("start")) == 1


@pytest.mark.crash
def test_a_job_that_cannot_be_cut_is_killed_and_not_run_again(app: App) -> None:
    """B11."""
    app.work()
    job_id = Unending("d", "deaf").dispatch()
    app.wait_for("start")
    assert onqueue.cancel(job_id, grace=0) == "asked"
    eventually(app.is_empty)
    assert len(app.lines("start")) == 1
    assert not app.failures()


@pytest.mark.crash
def test_a_cancelled_job_is_not_run_again_when_its_worker_dies_first(app: App) -> None:
    worker = app.work()
    job_id = Unending("r", "rude").dispatch()
    app.wait_for("start")
    worker.signal_group(signal.SIGSTOP)
    assert onqueue.cancel(job_id) == "asked"
    worker.signal_group(signal.SIGKILL)
    app.work()
    eventually(app.is_empty)
    assert len(app.lines("start")) == 1


def test_a_job_that_is_reserved_behind_another_never_starts(app: App) -> None:
    jobs: list[Job] = [Invitations("first", 2, stays_at=1), Unending("second", "rude")]
    first, second = onqueue.dispatch_many(jobs)
    app.work()
    app.wait_for("row-1", "first")
    assert onqueue.cancel(second) in {"removed", "asked"}
    onqueue.cancel(first)
    eventually(app.is_empty)
    assert not app.lines(label="second")


def test_a_cancelled_loop_over_rows_ends_between_two_of_them(app: App) -> None:
    app.work()
    job_id = Invitations("i", 10, stays_at=3).dispatch()
    app.wait_for("row-3")
    onqueue.cancel(job_id)
    eventually(app.is_empty)
    assert not app.lines("ran")
    assert not app.lines("row-4")
    progress = onqueue.progress_of(job_id)
    assert progress is not None
    assert progress.done == 4
