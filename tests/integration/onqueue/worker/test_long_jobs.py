"""Long jobs that go on where they were: after a deploy, a crash, a failure."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import onqueue
from support.long_jobs import Invitations, Steps
from support.waiting import eventually
from support.worker_processes import App


@pytest.fixture
def app(tmp_path: Path, redis_url: str) -> Iterator[App]:
    app = App(tmp_path, redis_url, lease=2.0)
    with (tmp_path / "shop.py").open("a") as shop:
        shop.write("import support.long_jobs\n")
    yield app
    app.close()


def rows(app: App) -> Counter[str]:
    """Return how often each row was done."""
    return Counter(line.what for line in app.lines() if line.what.startswith("row-"))


def test_a_deploy_repeats_no_row_and_spends_no_attempt(app: App) -> None:
    """B10, B13."""
    worker = app.work()
    Invitations("i", 600, stays_at=300).dispatch()
    app.wait_for("row-300")
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0
    assert not app.lines("ran")
    app.work()
    [ran] = app.wait_for("ran")
    assert ran.attempts == 1
    assert rows(app) == {f"row-{row}": 1 for row in range(600)}


def test_a_crash_repeats_at_most_what_was_not_saved(app: App) -> None:
    worker = app.work("--tries=0")
    Invitations("i", 400, stays_at=200).dispatch()
    app.wait_for("row-200")
    worker.signal_group(signal.SIGKILL)
    app.work("--tries=5")
    # `tries = 1` is the job's own: what crashed has spent it.
    eventually(lambda: bool(app.failures()))
    [(job_id, error, _)] = app.failures()
    assert error == "MaxAttemptsExceeded"
    progress = onqueue.progress_of(job_id)
    assert progress is not None
    # However far it came before it was last saved: no row counts as done that was not.
    assert 0 < progress.done < len(rows(app)) == 201
    assert progress.total == 400


def test_a_step_that_was_done_is_not_repeated_by_the_next_attempt(app: App) -> None:
    app.work()
    Steps("s").dispatch()
    [mailed] = app.wait_for("mailed-for-1")
    assert mailed.attempts == 2
    assert len(app.lines("paid")) == 1
    eventually(app.is_empty)


def test_what_ended_well_leaves_no_checkpoint_behind(app: App, redis_url: str) -> None:
    app.work()
    Invitations("i", 3).dispatch()
    app.wait_for("ran")
    eventually(app.is_empty)
    with redis.Redis.from_url(redis_url) as client:
        eventually(lambda: not client.keys("*checkpoint:*"))
