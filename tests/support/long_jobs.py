"""Long jobs that note each row they did, for workers that are stopped or killed meanwhile."""

from onqueue import Job
from onqueue.clock import SystemClock
from support.worker_jobs import hold_interpreter, note

_clock = SystemClock()


class Invitations(Job):
    """Does so many rows, and stays at one of them until it hears that it is to end."""

    tries = 1
    label: str
    rows: int
    stays_at: int = -1

    def handle(self) -> None:
        note(self, "start")
        for row in self.checkpoint.each(range(self.rows)):
            note(self, f"row-{row}")
            while row == self.stays_at and not (self.should_stop or self.cancelled):
                _clock.sleep(0.01)
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
                hold_interpreter(3600)
            _clock.sleep(0.01)
        note(self, "told")
