"""Jobs that do what jobs do to their worker, each noting in a ledger file what happened when."""

import ctypes
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onqueue
from onqueue import Job, QueueManager
from onqueue.clock import SystemClock

_clock = SystemClock()
_ledger: Path | None = None


def make_manager(
    url: str,
    ledger: str,
    *,
    connections: dict[str, dict[str, Any]] | None = None,
    app_keys: Sequence[tuple[str, bytes]] = (),
    **settings: Any,
) -> QueueManager:
    """Return the manager of a test's application; its jobs write to the ledger."""
    global _ledger  # noqa: PLW0603 - one application a process
    _ledger = Path(ledger)
    described = {"driver": "redis", "url": url, "lease": 2.0, **settings}
    failed = {"driver": "support.worker_jobs:FailedFile", "path": f"{ledger}.failed"}
    manager = QueueManager(
        "redis", connections or {"redis": described}, failed=failed, app_keys=app_keys
    )
    onqueue.use(manager)
    return manager


def note(job: Job, what: str) -> None:
    """Append one line; a single write, so that a kill leaves a whole line or none."""
    assert _ledger is not None
    line = f"{job.label} {what} {job.attempts} {os.getpid()} {_clock.monotonic():.4f}\n"  # type: ignore[attr-defined]
    append(_ledger, line)


def append(path: Path, line: str) -> None:
    """Add a line to a file that several processes write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


@dataclass(frozen=True)
class Line:
    """One line of the ledger."""

    label: str
    what: str
    attempts: int
    pid: int
    at: float


def read_ledger(path: Path) -> list[Line]:
    """Return what was noted so far, in order."""
    return list(_lines(path)) if path.exists() else []


def _lines(path: Path) -> Iterator[Line]:
    for line in path.read_text().splitlines():
        label, what, attempts, pid, at = line.split(" ")
        yield Line(label, what, int(attempts), int(pid), float(at))


class FailedFile:
    """A failed store of lines: id, error type, attempts; reading it needs no server."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def record(self, failed: Any) -> None:
        append(self._path, f"{failed.id} {failed.error_type} {failed.attempts}\n")


class Quick(Job):
    label: str

    def handle(self) -> None:
        note(self, "ran")


class Nap(Job):
    """Sleeps in a way that an exception ends."""

    label: str
    seconds: float

    def handle(self) -> None:
        note(self, "start")
        _clock.sleep(self.seconds)
        note(self, "end")

    def failed(self, error: BaseException) -> None:
        note(self, f"failed:{type(error).__name__}")


class Patient(Job):
    """Naps, but may be tried again, after a backoff of its own."""

    tries = 3
    backoff = (0.3,)
    label: str
    seconds: float

    def handle(self) -> None:
        note(self, "start")
        _clock.sleep(self.seconds)
        note(self, "end")


class Step(Job):
    """Has an effect in its middle, goes round once more when told to, and fails when told to."""

    tries = 0
    label: str
    seconds: float = 0.0
    snoozes: bool = False
    fails: bool = False

    def handle(self) -> None:
        note(self, f"start:{self.job_id}")
        _clock.sleep(self.seconds)
        note(self, "effect")
        if self.snoozes and self.attempts < 2:
            self.release(0)
        if self.fails:
            self.fail("as told")


class Polite(Job):
    """Works in items and goes on another time when its worker is to stop."""

    label: str

    def handle(self) -> None:
        note(self, "start")
        for _ in range(500):
            if self.should_stop:
                note(self, "snoozed")
                self.snooze(0)
                return
            _clock.sleep(0.02)


class Deaf(Job):
    """Swallows everything that is raised in it."""

    label: str

    def handle(self) -> None:
        note(self, "start")
        until = _clock.monotonic() + 60
        while _clock.monotonic() < until:
            try:
                _clock.sleep(60)
            except BaseException:  # noqa: BLE001, S112 - to be deaf is the point
                continue

    def failed(self, error: BaseException) -> None:
        note(self, f"failed:{type(error).__name__}")


class HoldInterpreter(Job):
    """One call into C that takes its time, hears no signal and lets no thread run."""

    label: str
    rounds: int

    def handle(self) -> None:
        note(self, "start")
        sum(range(self.rounds))
        note(self, "end")

    def failed(self, error: BaseException) -> None:
        note(self, f"failed:{type(error).__name__}")


class Fork(Job):
    """Forks a process that returns from here, or exits, and notes how that ended."""

    label: str
    exits: bool = False
    unseen: bool = False

    def handle(self) -> None:
        pid = ctypes.PyDLL(None).fork() if self.unseen else os.fork()
        if pid:
            note(self, f"status:{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
        elif self.exits:
            raise SystemExit(3)


class Die(Job):
    """Takes its process with it, `times` times."""

    tries = 0
    label: str
    how: str
    times: int = 1_000_000

    def handle(self) -> None:
        note(self, "start")
        if self.attempts > self.times:
            return
        match self.how:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(0)
            case "abort":
                os.abort()
            case _:
                ctypes.string_at(0)

    def failed(self, error: BaseException) -> None:
        note(self, f"failed:{type(error).__name__}")


class LeavesThread(Job):
    """Ends while a thread of its own goes on."""

    label: str

    def handle(self) -> None:
        threading.Thread(target=_clock.sleep, args=(60,)).start()
        note(self, "ran")


class Greedy(Job):
    """Keeps memory."""

    label: str
    mebibytes: int

    def handle(self) -> None:
        _kept.append(bytearray(os.urandom(1024)) * 1024 * self.mebibytes)
        note(self, "ran")


_kept: list[bytearray] = []
