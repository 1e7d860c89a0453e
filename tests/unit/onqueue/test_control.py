"""Cancelling a job, wherever it is."""

from typing import Any

import pytest

from onqueue.contracts import Cancelling
from onqueue.control import cancel


class Waiting:
    """A connection, an outbox and their manager in one; notes what it is asked."""

    def __init__(self, rows: int, *found: Cancelling) -> None:
        self.outbox = self
        self.asked: list[str] = []
        self._rows = rows
        self._found = list(found)

    def connection(self, _name: str | None) -> Any:
        return self

    name = row_of = "redis"

    def discard(self, ids: list[str], connection_name: str | None) -> int:
        self.asked.append("discard")
        return min(self._rows, len(ids)) if connection_name in {None, self.row_of} else 0

    def cancel(self, _job_id: str, _grace: float) -> Cancelling:
        self.asked.append("cancel")
        return self._found.pop(0)


def test_a_job_that_waited_in_the_outbox_only_is_removed() -> None:
    manager: Any = Waiting(1, "unknown", "unknown")
    assert cancel("a", manager=manager) == "removed"


def test_a_job_that_is_nowhere_is_unknown() -> None:
    manager: Any = Waiting(0, "unknown")
    assert cancel("a", manager=manager) == "unknown"


@pytest.mark.parametrize("found", ["asked", "moving"])
def test_a_job_that_goes_on_for_now_keeps_its_guard(found: Cancelling) -> None:
    manager: Any = Waiting(1, found)
    assert cancel("a", manager=manager) == found
    assert manager.asked == ["cancel"]


@pytest.mark.parametrize("found", ["removed", "unknown"])
@pytest.mark.parametrize("again", ["removed", "asked", "moving"])
def test_a_job_that_was_pushed_before_its_row_was_gone_is_cancelled_once_more(
    found: Cancelling, again: Cancelling
) -> None:
    manager: Any = Waiting(1, found, again)
    assert cancel("a", manager=manager) == again
    assert manager.asked == ["cancel", "discard", "cancel"]


def test_a_job_that_is_looked_for_on_the_wrong_connection_keeps_its_row() -> None:
    manager: Any = Waiting(1, "unknown", "unknown")
    manager.row_of = "redis-long"
    assert cancel("a", manager=manager) == "unknown"
    assert manager.asked == ["cancel", "discard"]
