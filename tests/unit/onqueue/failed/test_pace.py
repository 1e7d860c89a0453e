"""Failed jobs go back no faster than was asked for."""

import itertools

import pytest

from onqueue.failed.pace import Pace, Rate
from onqueue.testing.clock import FakeClock


@pytest.mark.parametrize(
    ("text", "interval"),
    [("10/s", 0.1), ("10", 0.1), ("300/m", 0.2), ("300/min", 0.2), ("1/h", 3600), ("0.5 / S", 2)],
)
def test_a_rate_is_read(text: str, interval: float) -> None:
    assert Rate.parse(text).interval == pytest.approx(interval)


@pytest.mark.parametrize("text", ["", "0/s", "ten", "1/d", "-1", "1/s/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate: write it like"):
        Rate.parse(text)


def test_without_a_rate_nobody_waits() -> None:
    clock = FakeClock()
    before = clock.monotonic()
    pace = Pace(None, clock)
    for _ in range(100):
        pace.wait()
    assert clock.monotonic() == before


def test_what_was_late_is_not_made_up_for() -> None:
    """B14: a broker that was away for a while gets no burst afterwards."""
    clock = FakeClock()
    pace = Pace(Rate.parse("10/s"), clock)
    pace.wait()
    clock.advance(60)
    times = []
    for _ in range(3):
        pace.wait()
        times.append(clock.monotonic())
    assert [later - sooner for sooner, later in itertools.pairwise(times)] == [
        pytest.approx(0.1)
    ] * 2
