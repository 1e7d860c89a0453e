"""The loop of relay and reconciler: due steps, backoff, and an end when told."""

import logging
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from onqueue.outbox.loop import Backoff, run_forever
from onqueue.testing.clock import FakeClock


class StopAt:
    """A flag whose waits move the clock; set once the clock is past its end."""

    def __init__(self, clock: FakeClock, end: float) -> None:
        self._clock, self._end = clock, end
        self.waits: list[float] = []

    def is_set(self) -> bool:
        return self._clock.monotonic() >= self._end

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        self._clock.advance(timeout)
        return self.is_set()


class Every:
    """A step that wants to come again after so many seconds."""

    def __init__(self, seconds: float, act: Callable[[], None] = lambda: None) -> None:
        self._seconds, self._act = seconds, act
        self.times = 0

    def step(self) -> float:
        self.times += 1
        self._act()
        return self._seconds


def test_each_step_is_done_when_it_is_due() -> None:
    clock = FakeClock()
    quick, slow = Every(1), Every(5)
    run_forever([quick, slow], StopAt(clock, 10), clock)
    assert (quick.times, slow.times) == (10, 2)


def test_nothing_is_done_once_it_is_stopped() -> None:
    step = Every(1)
    run_forever([step], StopAt(FakeClock(), 0), FakeClock())
    assert step.times == 0


def test_a_missing_database_is_waited_for_with_backoff(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OperationalError("select", {}, Exception("gone"))

    clock = FakeClock()
    stop = StopAt(clock, 7)
    with caplog.at_level(logging.WARNING, "onqueue.outbox"):
        run_forever([Every(1, fail)], stop, clock)
    assert stop.waits == [0.5, 1, 2, 4]
    assert "again in 0.5 s" in caplog.messages[0]


def test_a_fault_of_the_program_ends_the_loop() -> None:
    def fail() -> None:
        raise KeyError("bug")

    clock = FakeClock()
    with pytest.raises(KeyError, match="bug"):
        run_forever([Every(1, fail)], StopAt(clock, 7), clock)


def test_a_backoff_doubles_up_to_its_limit_and_begins_anew() -> None:
    backoff = Backoff(shortest=1, longest=5)
    assert [backoff.failed() for _ in range(4)] == [1, 2, 4, 5]
    assert [backoff.failed() for _ in range(2000)][-1] == 5
    backoff.worked()
    assert backoff.failed() == 1
