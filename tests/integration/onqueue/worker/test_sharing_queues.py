"""Queues served by weight, and maintenance, on real workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from onqueue import dispatch_many
from onqueue.console import build_group
from support.thread_jobs import Linger, Stage
from support.worker_jobs import Quick


@pytest.fixture
def stage(tmp_path: Path, redis_url: str) -> Iterator[Stage]:
    stage = Stage(tmp_path, redis_url)
    yield stage
    stage.close()


def _say(stage: Stage, *words: str) -> str:
    result = CliRunner().invoke(build_group(lambda: stage.manager), words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("concurrency", [1, 4])
def test_weighted_queues_get_their_shares(stage: Stage, concurrency: int) -> None:
    """K37."""
    for queue in ("low", "high"):
        dispatch_many([Quick(f"{queue}{number}").on_queue(queue) for number in range(1500)])
    stage.work(concurrency=concurrency, max_jobs=1500, queues=("low", "high"), weights=(1, 4))
    lines = stage.wait_for("ran", 1500)
    low = sum(line.label.startswith("low") for line in lines)
    assert low == pytest.approx(300, rel=0.1)


def test_in_maintenance_workers_idle_unless_they_are_forced(stage: Stage) -> None:
    """K25."""
    assert _say(stage, "maintenance", "status") == "Connection 'redis': no maintenance\n"
    Linger("before", 0.5).dispatch()
    idle = stage.work(concurrency=1)
    stage.wait_for("start", 1)
    said = _say(stage, "maintenance", "on", "--reason", "moving")
    assert said == "Connection 'redis': in maintenance (moving)\n"
    Quick("a").dispatch()
    stage.wait_for("end", 1)
    stage.until(lambda: stage.manager.connection().size("default").reserved == 0)
    stage.work(concurrency=1, once=True)
    stage.until(lambda: not stage.workers[1].is_alive())
    assert stage.lines("ran") == []
    stage.work(concurrency=1, force=True, once=True)
    stage.wait_for("ran", 1)
    Quick("b").dispatch()
    assert _say(stage, "maintenance", "off") == "Connection 'redis': no maintenance\n"
    stage.wait_for("ran", 2)
    assert idle.is_alive()


def test_resuming_a_connection_does_not_end_its_maintenance(stage: Stage) -> None:
    _say(stage, "pause")
    _say(stage, "maintenance", "on")
    said = _say(stage, "resume")
    assert "its maintenance" in said
    assert "in maintenance" in _say(stage, "maintenance", "status", "redis")
    assert "maintenance" in _say(stage, "paused")
