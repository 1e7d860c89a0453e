"""A conference whose cancellation is killed; the provider is one process for all of these tests."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meet2be.cancellations.models import CancelRun
from support.cancelling import Conference
from support.conferences import meeting, postgres_meeting, provider
from support.lane_workers import LaneWorkers

__all__ = ["meeting", "postgres_meeting", "provider"]
RUNNER = Path(__file__).with_name("lane_runner.py")


@pytest.fixture(scope="session")
def runner() -> Iterator["subprocess.Popen[str]"]:
    """The process that works lanes in children of its own."""
    command = [sys.executable, str(RUNNER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(120)


@pytest.fixture
def workers(runner: "subprocess.Popen[str]") -> Callable[..., LaneWorkers]:
    """Confirms a conference's cancellation (or a run) in one lane and returns who works it."""

    def confirm(meeting: Conference, run: CancelRun | None = None) -> LaneWorkers:
        meeting.confirm(run, lanes=1)
        return LaneWorkers(runner, meeting)

    return confirm
