"""Cancelling a job, wherever it is."""

from typing import Any

from onqueue.control import cancel


class Waiting:
    """A connection, an outbox and their manager in one: the job is in the outbox only."""

    def __init__(self, rows: int) -> None:
        self.outbox = self
        self._rows = rows

    def connection(self, _name: str | None) -> Any:
        return self

    def discard(self, ids: list[str]) -> int:
        return min(self._rows, len(ids))

    def cancel(self, _job_id: str, _grace: float) -> str:
        return "unknown"


def test_a_job_that_waited_in_the_outbox_only_is_removed() -> None:
    manager: Any = Waiting(1)
    assert cancel("a", manager=manager) == "removed"


def test_a_job_that_is_nowhere_is_unknown() -> None:
    manager: Any = Waiting(0)
    assert cancel("a", manager=manager) == "unknown"
