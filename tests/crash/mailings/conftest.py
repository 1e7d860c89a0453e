"""One mail sink, and one process that has imported the platform: its children are killed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meet2be.db import Database
from onqueue.clock import SystemClock
from simulators.processes import MailSinkProcess
from support.runners import Runner, running
from support.sinks import running_sink, sink

__all__ = ["running_sink", "sink"]
RUNNER = Path(__file__).with_name("runner.py")
Play = Callable[..., list[int]]


@pytest.fixture
def clock() -> SystemClock:
    """The wall's: a killed process and its successors have no other."""
    return SystemClock()


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with running(RUNNER) as process:
        yield process


@pytest.fixture
def play(runner: Runner, sqlite_database: Database, sink: MailSinkProcess) -> Play:
    """Return what runs a part (of `runner.py`) in children, one after the other.

    The first dies at `point`, the others have none; it returns how each ended.
    """

    def run(part: str, point: str, *arguments: object) -> list[int]:
        url, port = str(sqlite_database.engine.url), sink.ports["port"]
        ends: list[int] = runner.ask([part, point, url, port, *arguments])
        return ends

    return run
