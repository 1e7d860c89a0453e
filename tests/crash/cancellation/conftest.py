"""A conference whose cancellation is killed; the provider is one process for all of these tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meet2be.cancellations.models import CancelRun
from support.cancelling import Conference
from support.conferences import meeting, postgres_meeting, provider
from support.lane_workers import LaneWorkers
from support.runners import Runner, running

__all__ = ["meeting", "postgres_meeting", "provider"]
RUNNER = Path(__file__).with_name("lane_runner.py")


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """The process that works lanes in children of its own."""
    with running(RUNNER) as process:
        yield process


@pytest.fixture
def workers(runner: Runner) -> Callable[..., LaneWorkers]:
    """Confirms a conference's cancellation (or a run) in one lane and returns who works it."""

    def confirm(meeting: Conference, run: CancelRun | None = None) -> LaneWorkers:
        meeting.confirm(run, lanes=1)
        return LaneWorkers(runner, meeting)

    return confirm
