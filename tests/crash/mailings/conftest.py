"""One mail sink, and one process that has imported the platform: its children are killed."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meet2be.db import Database
from onqueue.clock import SystemClock
from simulators.processes import MailSinkProcess

RUNNER = Path(__file__).with_name("runner.py")
Play = Callable[..., list[int]]


@pytest.fixture
def clock() -> SystemClock:
    """The wall's: a killed process and its successors have no other."""
    return SystemClock()


@pytest.fixture(scope="module")
def _running_sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailSinkProcess]:
    with MailSinkProcess(tmp_path_factory.mktemp("sink")) as started:
        yield started


@pytest.fixture
def sink(_running_sink: MailSinkProcess) -> MailSinkProcess:
    """An empty mail sink."""
    _running_sink.control.clear()
    return _running_sink


@pytest.fixture(scope="module")
def _runner() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, str(RUNNER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        yield process
        process.stdin.close()  # which ends it


@pytest.fixture
def play(
    _runner: "subprocess.Popen[str]", sqlite_database: Database, sink: MailSinkProcess
) -> Play:
    """Return what runs a part (of `runner.py`) in children, one after the other.

    The first dies at `point`, the others have none; it returns how each ended.
    """

    def run(part: str, point: str, *arguments: object) -> list[int]:
        assert _runner.stdin is not None
        assert _runner.stdout is not None
        url, port = str(sqlite_database.engine.url), sink.ports["port"]
        _runner.stdin.write(json.dumps([part, point, url, port, *arguments]) + "\n")
        _runner.stdin.flush()
        ends: list[int] = json.loads(_runner.stdout.readline())
        return ends

    return run
