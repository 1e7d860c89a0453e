"""The helper that all tests wait with."""

import pytest

from onqueue.testing.clock import FakeClock
from support.waiting import eventually


def test_it_returns_what_came_true() -> None:
    clock = FakeClock()
    answers = iter([False, False, "found"])
    assert eventually(lambda: next(answers), clock=clock) == "found"
    assert len(clock.slept) == 2


def test_it_raises_the_last_failure_when_the_time_is_over() -> None:
    clock = FakeClock()

    def never() -> None:
        raise AssertionError(f"at {clock.monotonic():.0f} s")

    with pytest.raises(AssertionError, match="at 3 s"):
        eventually(never, within=3.0, every=1.0, clock=clock)


def test_it_says_what_stayed_false() -> None:
    def the_door_is_open() -> bool:
        return False

    with pytest.raises(AssertionError, match="'the_door_is_open' was still false after 2 s"):
        eventually(the_door_is_open, within=2.0, every=1.0, clock=FakeClock())


def test_an_empty_answer_is_an_answer() -> None:
    assert eventually(list, within=0.0, clock=FakeClock()) == []


def test_a_fault_goes_straight_through() -> None:
    clock = FakeClock()

    def broken() -> None:
        raise KeyError("typo")

    with pytest.raises(KeyError):
        eventually(broken, clock=clock)
    assert clock.slept == []
