"""Schedulers forked from the test run, each with a step at which it is killed."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from onqueue import QueueManager
from onqueue.schedule import Schedule
from onqueue.schedule.scheduler import Scheduler
from support.schedule_rig import Note

FAILING = "onqueue.testing.failpoints:FailingQueue"


def make_manager(url: str, failpoint: dict[str, Any] | None = None) -> QueueManager:
    """Return queues with two entries due each second: one pushed in the store's script, one not."""
    schedule = Schedule()
    schedule.job(Note, "near").every(seconds=1)
    schedule.job(Note, "far").every(seconds=1).on_connection("other")
    kept: dict[str, Any] = {"driver": "redis", "url": url}
    if failpoint is not None:
        kept |= {"driver": FAILING, "options": failpoint}
    connections = {"redis": kept, "other": {"driver": "redis", "url": url}}
    return QueueManager("redis", connections, schedule=schedule)


class ForkedScheduler:
    """One scheduler; `point` and `nth` say at which step it dies, the first time it comes there."""

    def __init__(
        self, directory: Path, url: str, lease: float, point: str = "", nth: int = 1
    ) -> None:
        self.marker = directory / f"struck-{point}-{nth}"
        self._log = directory / "schedulers.log"
        options = {"point": point, "nth": nth, "victim": "child", "marker": str(self.marker)}
        self.pid = os.fork()
        if self.pid == 0:
            self._become(url, lease, options if point else None)

    def _become(self, url: str, lease: float, failpoint: dict[str, Any] | None) -> None:
        code = 1
        try:
            os.setsid()
            output = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            for stream in (1, 2):
                os.dup2(output, stream)
            sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
            for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
            Scheduler(make_manager(url, failpoint), lease).run()
            code = 0
        except BaseException:
            logging.critical("the scheduler could not be", exc_info=True)  # noqa: LOG015 - a test's
        finally:
            os._exit(code)

    def ends(self) -> int:
        """Return the exit code, minus the signal that killed it; waits for it."""
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def end(self) -> None:
        """Kill it, if it still runs."""
        if self.pid:
            self.signal(signal.SIGKILL)
            self.ends()
