"""Real worker processes for tests: started with the product's own command, killed afterwards."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onqueue.connections import QueueManager
from support.waiting import PATIENCE, eventually
from support.worker_jobs import Line, make_manager, read_ledger

_TESTS = Path(__file__).parents[1]
_APP = ("--app", "shop:queues")


@dataclass
class WorkerProcess:
    """One `onqueue work`, in a process group of its own."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The parent's process id."""
        return self.popen.pid

    def signal(self, number: int) -> None:
        """Send a signal to the parent only."""
        self.popen.send_signal(number)

    def signal_group(self, number: int) -> None:
        """Send a signal to parent and child."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)

    def children(self) -> list[int]:
        """Return the living children."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        try:
            return [int(pid) for pid in path.read_text().split()]
        except OSError:
            return []

    def child(self) -> int:
        """Return the one child, once it is there."""
        eventually(lambda: bool(self.children()))
        return self.children()[0]

    def ends(self, within: float = PATIENCE) -> int:
        """Return the exit code, once it ended."""
        return self.popen.wait(within)

    def said(self) -> str:
        """Return what it logged."""
        return self.log.read_text()


class App:
    """An application of one module, its broker, its ledger and its workers."""

    def __init__(self, directory: Path, url: str, **settings: Any) -> None:
        self.directory = directory
        self.ledger = directory / "ledger"
        arguments = "".join(f", {name}={value!r}" for name, value in settings.items())
        (directory / "shop.py").write_text(
            "from support.worker_jobs import make_manager\n"
            f"queues = make_manager({url!r}, {str(self.ledger)!r}{arguments})\n"
        )
        self.manager: QueueManager = make_manager(url, str(self.ledger), **settings)
        self.workers: list[WorkerProcess] = []

    def work(self, *arguments: str, outputs: bool = True, command: str = "work") -> WorkerProcess:
        """Start a worker, its output in a log or (without `outputs`) both streams closed."""
        log = self.directory / f"worker-{len(self.workers)}.log"
        shut = [] if outputs else ["sh", "-c", 'exec "$@" >&- 2>&-', "sh"]
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [*shut, sys.executable, "-m", "onqueue", *_APP, command, "-v", *arguments],
                cwd=self.directory,
                env={"PATH": os.defpath, "PYTHONPATH": str(_TESTS)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        worker = WorkerProcess(popen, log)
        self.workers.append(worker)
        return worker

    def lines(self, what: str | None = None, label: str | None = None) -> list[Line]:
        """Return what jobs noted, perhaps only of one kind or of one job."""
        return [
            line
            for line in read_ledger(self.ledger)
            if what in (None, line.what) and label in (None, line.label)
        ]

    def wait_for(self, what: str, label: str | None = None, times: int = 1) -> list[Line]:
        """Return the lines of a kind, once there are so many."""

        def enough() -> list[Line]:
            lines = self.lines(what, label)
            assert len(lines) >= times, f"{len(lines)} of {times} {what!r}: {self.told()}"
            return lines

        return eventually(enough)

    def until_said(self, worker: WorkerProcess, text: str) -> None:
        """Wait for something in a worker's log."""
        eventually(lambda: text in worker.said())

    def told(self) -> str:
        """Return the end of all logs, for a message."""
        return "\n".join(worker.said()[-1500:] for worker in self.workers)

    def failures(self) -> list[tuple[str, str, int]]:
        """Return id, error and attempts of each failed job."""
        path = Path(f"{self.ledger}.failed")
        lines = path.read_text().splitlines() if path.exists() else []
        split = [line.split(" ") for line in lines]
        return [(job_id, error, int(attempts)) for job_id, error, attempts in split]

    def size(self) -> int:
        """Return how many jobs have no outcome yet."""
        return self.manager.connection().size("default").total

    def is_empty(self) -> bool:
        """Tell whether every job has an outcome."""
        return self.size() == 0

    def close(self) -> None:
        """Kill what still runs."""
        for worker in self.workers:
            worker.signal_group(signal.SIGKILL)
            worker.popen.wait(PATIENCE)
        self.manager.close()


def labels(lines: Sequence[Line]) -> list[str]:
    """Return whose lines these are."""
    return [line.label for line in lines]
