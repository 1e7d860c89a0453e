"""Long jobs that note each row they did, for workers that are stopped or killed meanwhile."""

import ctypes

from onqueue import Job
from onqueue.clock import SystemClock
from support.worker_jobs import note

_clock = SystemClock()


class Invitations(Job):
    """Does so many rows, each a few milliseconds long."""

    tries = 1
    timeout = 60
    label: str
    rows: int
    pause: float = 0.002

    def handle(self) -> None:
        note(self, "start")
        for row in self.checkpoint.each(range(self.rows)):
            _clock.sleep(self.pause)
            note(self, f"row-{row}")
        note(self, "ran")


class Steps(Job):
    """Does two steps and raises once between them."""

    tries = 2
    label: str

    def handle(self) -> None:
        paid = self.checkpoint.step("pay", self._pay)
        if self.attempts == 1:
            msg = "no route to the mail server"
            raise OSError(msg)
        note(self, f"mailed-for-{paid}")

    def _pay(self) -> int:
        note(self, "paid")
        return self.attempts


class Unending(Job):
    """Runs until it is told, or made, to end: by looking, by being cut, or by being killed."""

    timeout = 60
    label: str
    manner: str

    def handle(self) -> None:
        note(self, "start")
        while not (self.manner == "polite" and self.cancelled):
            if self.manner == "deaf":
                ctypes.PyDLL(None).sleep(60)  # holds the interpreter
            _clock.sleep(0.01)
        note(self, "told")
