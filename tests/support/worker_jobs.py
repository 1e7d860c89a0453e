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

LEASE = 6.0
"""Seconds, unless a test says otherwise: it must not lapse where a busy machine halts a while."""

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
    described = {"driver": "redis", "url": url, "lease": LEASE, **settings}
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


def count(what: str, label: str | None = None) -> int:
    """Return how often something was noted so far, perhaps only by one job."""
    assert _ledger is not None
    lines = [line for line in read_ledger(_ledger) if line.what == what]
    return sum(label in (None, line.label) for line in lines)


def append(path: Path, line: str) -> None:
    """Add a line to a file that several processes write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def hold_interpreter(seconds: float) -> None:
    """Be in one call into C for so long: it waits for a lock that the same thread holds.

    Unlike a sleep it is not cut short by signals, and unlike a computation it takes no processor.
    """
    libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_timedlock(mutex, (ctypes.c_long * 2)(int(_clock.time() + seconds), 0))


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
    """Runs at once; a worker that cuts other jobs short leaves it its time on any machine."""

    timeout = 60
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
    backoff = (1.2,)
    label: str
    seconds: float

    def handle(self) -> None:
        note(self, "start")
        _clock.sleep(self.seconds)
        note(self, "end")


class Finishing(Job):
    """Runs until its worker is told to stop, and then to its end, as long as nobody cuts it."""

    label: str

    def handle(self) -> None:
        note(self, "start")
        while not self.should_stop:
            _clock.sleep(0.01)
        _clock.sleep(0.2)
        note(self, "end")


class Again(Job):
    """Runs until its process is killed; run anew, it ends at once."""

    tries = 9
    label: str

    def handle(self) -> None:
        note(self, "start")
        is_first = count("start", self.label) == 1
        while is_first:
            _clock.sleep(0.01)
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
        while not self.should_stop:
            _clock.sleep(0.02)
        note(self, "snoozed")
        self.snooze(0)


class Deaf(Job):
    """Swallows everything that is raised in it."""

    label: str

    def handle(self) -> None:
        note(self, "start")
        while True:
            try:
                _clock.sleep(60)
            except BaseException:  # noqa: BLE001, S112 - to be deaf is the point
                continue

    def failed(self, error: BaseException) -> None:
        note(self, f"failed:{type(error).__name__}")


class HoldInterpreter(Job):
    """One call into C that takes its time, hears no exception and lets no thread run."""

    label: str
    seconds: int

    def handle(self) -> None:
        note(self, "start")
        hold_interpreter(self.seconds)
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
