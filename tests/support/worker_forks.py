"""Workers forked from the test run itself: real processes that start in milliseconds."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onqueue import events
from onqueue.connections import QueueManager
from onqueue.worker import Worker, WorkerOptions
from support.worker_jobs import append, make_manager


class ForkedWorker:
    """One worker in a process group of its own; logs to a file, notes outcomes in the ledger."""

    def __init__(
        self,
        directory: Path,
        url: str,
        options: WorkerOptions,
        /,
        make: Callable[..., QueueManager] = make_manager,
        **settings: Any,
    ) -> None:
        self.log = directory / "workers.log"
        self.stopped_until = 0.0
        self.pid = os.fork()
        if self.pid == 0:
            _become_worker(
                self.log, directory / "ledger", options, lambda path: make(url, path, **settings)
            )

    def children(self) -> list[int]:
        """Return the living children."""
        try:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except OSError:
            return []
        return [int(pid) for pid in text.split()]

    def is_alive(self) -> bool:
        """Tell whether the parent lives; a dead one is reaped."""
        if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.pid = 0
        return self.pid != 0

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to the parent, or to all of the worker."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def wait(self) -> int:
        """Return the exit code, once the worker has ended by itself."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return code

    def end(self) -> None:
        """Kill the worker and wait for it."""
        if self.is_alive():
            self.signal(signal.SIGKILL, group=True)
            self.signal(signal.SIGKILL)  # one that was forked just now leads no group yet
            os.waitpid(self.pid, 0)
            self.pid = 0


def _become_worker(
    log: Path, ledger: Path, options: WorkerOptions, make: Callable[[str], QueueManager]
) -> None:
    code = 1
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(output, stream)
        sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
        manager = make(str(ledger))
        _note_outcomes(ledger)
        code = Worker(manager, options).run().exit_code
    except BaseException:
        logging.critical("the worker could not be", exc_info=True)  # noqa: LOG015 - a test's own
    finally:
        os._exit(code)


def _note_outcomes(ledger: Path) -> None:
    outcomes = Path(f"{ledger}.outcomes")

    def note(event: Any) -> None:
        append(outcomes, f"{event.job_id} {event.outcome}\n")

    def note_lost(event: events.JobLeaseLost) -> None:
        append(outcomes, f"{event.job_id} lost\n")

    events.job_processed.connect(note, weak=False)
    events.job_lease_lost.connect(note_lost, weak=False)


def make_test_manager(directory: Path, url: str, **settings: Any) -> QueueManager:
    """Return the manager with which a test dispatches to forked workers."""
    return make_manager(url, str(directory / "ledger"), **settings)
