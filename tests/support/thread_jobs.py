"""Jobs for workers with several threads, and a stage on which such workers run them."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onqueue import Job
from onqueue.clock import SystemClock
from onqueue.worker import WorkerOptions
from onqueue.worker.processes import resident_memory
from support.waiting import eventually
from support.worker_forks import ForkedWorker, make_test_manager
from support.worker_jobs import LEASE, Line, count, note, read_ledger

_clock = SystemClock()


class Linger(Job):
    """Waits in small steps, so that what is raised in its thread finds it."""

    tries = 9
    label: str
    seconds: float

    def handle(self) -> None:
        note(self, "start")
        until = _clock.monotonic() + self.seconds
        while _clock.monotonic() < until:
            _clock.sleep(0.01)
        note(self, "end")


class Meeting(Job):
    """Ends once as many as are to meet have begun, and so only where they run at once."""

    label: str
    size: int

    def handle(self) -> None:
        note(self, "start")
        while count("start") < self.size:
            _clock.sleep(0.01)
        note(self, "end")


class AsyncMeeting(Meeting):
    """Waits for the others on the event loop."""

    async def handle(self) -> None:  # type: ignore[override]
        note(self, "start")
        while count("start") < self.size:  # noqa: ASYNC110 - the others say so in a file
            await asyncio.sleep(0.01)
        note(self, "end")


class AsyncLinger(Job):
    """Waits on the event loop."""

    tries = 9
    label: str
    seconds: float

    async def handle(self) -> None:
        note(self, "start")
        await asyncio.sleep(self.seconds)
        note(self, "end")


class CutAtStop(Linger):
    """May be cut a short while after its worker was asked to end; notes that it heard of it."""

    interruptible = 0.3

    def interrupted(self, signal: int) -> None:
        note(self, f"heard:{signal}")


class Hoard(Job):
    """Takes memory, a little at a time, and keeps it while it runs on for so many seconds."""

    label: str
    mebibytes: int
    seconds: float = 0.0
    limit: float = 0.0

    def memory_limit(self) -> float:
        """Allow 100 MiB more than the test's own process has: workers are forks of it."""
        return self.limit or resident_memory() + 100

    def handle(self) -> None:
        note(self, "start")
        kept = []
        for _ in range(self.mebibytes // 10):
            kept.append(bytearray(os.urandom(1024)) * 1024 * 10)
            _clock.sleep(0.01)
        _hoard.extend(kept)
        _clock.sleep(self.seconds)
        note(self, "end")

    def failed(self, error: BaseException) -> None:
        note(self, f"failed:{type(error).__name__}")


_hoard: list[bytearray] = []


class Stage:
    """A broker, a ledger, and workers forked from the test run."""

    def __init__(self, directory: Path, url: str) -> None:
        self._directory, self._url = directory, url
        self.manager = make_test_manager(directory, url)
        self.workers: list[ForkedWorker] = []

    def work(self, lease: float = LEASE, **options: Any) -> ForkedWorker:
        """Start a worker, with a short lease where others are to notice its death."""
        given = WorkerOptions(**{"memory": 0, "concurrency": 8, **options})
        worker = ForkedWorker(self._directory, self._url, given, lease=lease)
        self.workers.append(worker)
        return worker

    def lines(self, what: str) -> list[Line]:
        """Return what jobs noted of one kind."""
        return [line for line in read_ledger(self._directory / "ledger") if line.what == what]

    def wait_for(self, what: str, times: int) -> list[Line]:
        """Return the lines of a kind, once there are so many."""

        def enough() -> list[Line]:
            lines = self.lines(what)
            assert len(lines) >= times, f"{len(lines)} of {times} {what!r}: {self.said()}"
            return lines

        return eventually(enough)

    def failures(self) -> list[tuple[str, str, int]]:
        """Return id, error and attempts of each failed job."""
        path = self._directory / "ledger.failed"
        lines = path.read_text().splitlines() if path.exists() else []
        split = [line.split(" ") for line in lines]
        return [(job_id, error, int(attempts)) for job_id, error, attempts in split]

    def is_empty(self) -> bool:
        """Tell whether every job has an outcome."""
        return self.manager.connection().size("default").total == 0

    def said(self) -> str:
        """Return the end of what the workers logged."""
        log = self._directory / "workers.log"
        return log.read_text()[-2000:] if log.exists() else ""

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition."""
        eventually(condition)

    def close(self) -> None:
        """Kill what still runs."""
        for worker in self.workers:
            worker.signal(signal.SIGCONT, group=True)
            worker.end()
        self.manager.close()
