"""Functions and secrets in real workers: killed half-way, altered on the way, without their key."""

import base64
import json
import os
import pickle
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onqueue import Job, QueueManager, call, closures
from onqueue.contracts import Message
from onqueue.payload import plan_of
from onqueue.worker import WorkerOptions
from support.waiting import eventually
from support.worker_forks import ForkedWorker, make_test_manager

pytestmark = pytest.mark.crash

KEY = ("2026-11", b"k" * 32)
OLD = ("2025-11", b"o" * 32)
OPTIONS = WorkerOptions(memory=0, tries=3)


class TellSecret(Job):
    name = "crash.tell-secret"
    encrypted = True

    path: str
    secret: str

    def handle(self) -> None:
        append(self.path, f"{self.secret} {self.attempts}")


def append(path: str, line: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


class KillsOnce:
    """Kills the process that first unpickles it: after the signature, before it runs."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return strike_once, (self.marker,)


def strike_once(marker: str) -> KillsOnce:
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return KillsOnce(marker)


@pytest.fixture
def workers() -> Iterator[list[ForkedWorker]]:
    started: list[ForkedWorker] = []
    yield started
    for worker in started:
        worker.end()


@pytest.fixture
def manager(tmp_path: Path, redis_url: str) -> Iterator[QueueManager]:
    made = make_test_manager(tmp_path, redis_url, lease=0.5, app_keys=[KEY])
    yield made
    made.close()


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def is_drained(manager: QueueManager) -> bool:
    return manager.connection().size("default").total == 0


@pytest.mark.parametrize("when", ["before", "in"])
def test_a_closure_whose_worker_is_killed_runs_again_to_its_end(
    tmp_path: Path, redis_url: str, manager: QueueManager, workers: list[ForkedWorker], when: str
) -> None:
    out, marker = str(tmp_path / "out"), str(tmp_path / "struck")
    held = KillsOnce(marker) if when == "before" else None

    def work() -> None:
        append(out, "begun")
        if held is None:
            strike_once(marker)
        append(out, "done")

    call(work).dispatch()
    workers.append(ForkedWorker(tmp_path, redis_url, OPTIONS, lease=0.5, app_keys=[KEY]))
    eventually(lambda: is_drained(manager) and "done" in lines(Path(out)))
    assert lines(Path(out)) == (["begun", "done"] if held else ["begun", "begun", "done"])
    assert not lines(tmp_path / "ledger.failed")


def test_an_altered_closure_is_failed_by_a_worker_that_then_goes_on(
    tmp_path: Path, redis_url: str, manager: QueueManager, workers: list[ForkedWorker]
) -> None:
    out = str(tmp_path / "out")
    job = call(lambda: append(out, "genuine")).catch(lambda: append(out, "caught"))
    parts = json.loads(plan_of(type(job)).encode(job, 0.0, None, keys=manager.keys))
    code = base64.b64encode(pickle.dumps(KillsOnce(str(tmp_path / "struck")))).decode()
    parts["data"]["function"] = {"code": code, "python": closures.PYTHON}
    manager.connection().push(Message("a" * 32, "default", json.dumps(parts).encode()))
    job.dispatch()
    workers.append(ForkedWorker(tmp_path, redis_url, OPTIONS, lease=0.5, app_keys=[KEY]))
    eventually(lambda: is_drained(manager) and bool(lines(Path(out))))
    [failed] = lines(tmp_path / "ledger.failed")
    assert failed.split()[:2] == ["a" * 32, "ClosureAltered"]
    assert lines(Path(out)) == ["genuine"]
    assert not (tmp_path / "struck").exists()


def test_an_encrypted_job_waits_for_its_key_and_runs_once_that_is_back(
    tmp_path: Path, redis_url: str, workers: list[ForkedWorker]
) -> None:
    """K78, B12."""
    out = tmp_path / "out"
    manager = make_test_manager(tmp_path, redis_url, lease=0.5, app_keys=[OLD])
    TellSecret(str(out), "plum").dispatch()
    queue: Any = manager.connection()
    workers.append(ForkedWorker(tmp_path, redis_url, OPTIONS, lease=0.5, app_keys=[KEY]))
    waiting = {"crash.tell-secret | app key 2025-11 is gone": 1}
    eventually(lambda: queue.unknown() == waiting)
    assert queue.replay_unknown("crash.tell") == 0
    workers.pop().end()
    workers.append(ForkedWorker(tmp_path, redis_url, OPTIONS, lease=0.5, app_keys=[KEY, OLD]))
    assert queue.replay_unknown("crash.tell-secret") == 1
    eventually(lambda: lines(out) == ["plum 1"])
    eventually(lambda: is_drained(manager))
    manager.close()
