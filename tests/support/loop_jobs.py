"""Jobs of the tests of the child's loop, and what they did."""

from onqueue import Job

RUNS: list[str] = []
"""What ran, in order; emptied before each test by `worker/conftest.py`."""


class Work(Job):
    """Notes its label."""

    label: str = "a"

    def handle(self) -> None:
        RUNS.append(self.label)


class Ask(Job):
    """Does what it is told and goes on."""

    verb: str
    seconds: float = 0.0
    then_raise: bool = False

    def handle(self) -> None:
        match self.verb:
            case "release":
                self.release(self.seconds)
            case "snooze":
                self.snooze(self.seconds)
            case "delete":
                self.delete()
            case _:
                self.fail("by hand")
        RUNS.append(self.verb)
        if self.then_raise:
            raise ValueError("after all")


class Raise(Job):
    """Fails each time."""

    tries = 3
    backoff = (10, 30)

    def handle(self) -> None:
        raise ValueError("no")

    def failed(self, error: BaseException) -> None:
        RUNS.append(f"failed: {error}")
