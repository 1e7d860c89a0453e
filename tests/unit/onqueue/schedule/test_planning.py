"""What becomes of ticks that are due, on time and missed."""

from datetime import timedelta

import pytest

from onqueue.schedule.cadence import Interval
from onqueue.schedule.planning import LATE, MOST, CatchUp, Due, plan
from onqueue.testing import FakeClock

MINUTE = 60_000
HOUR = 60 * MINUTE
LATER = ("2 h", "90 min", "30 min")


def ago(clock: FakeClock, milliseconds: int) -> int:
    """Return a moment before the clock's time, in milliseconds since the epoch."""
    return int(clock.time() * 1000) - milliseconds


def outcomes(ticks: list[Due]) -> list[str]:
    """Return for each tick why it is skipped, or "run"."""
    return [one.skip or "run" for one in ticks]


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp("skip"), ["missed by 5 min", "run"]),
        (CatchUp("last"), ["missed, and a later tick is due", "run"]),
        (CatchUp("all"), ["run", "run"]),
    ],
)
def test_a_missed_tick_with_one_on_time_behind_it(catch_up: CatchUp, expected: list[str]) -> None:
    """B9."""
    clock = FakeClock()
    found = plan(Interval(5 * MINUTE), catch_up, ago(clock, 10 * MINUTE), ago(clock, 0))
    assert outcomes(found.ticks) == expected
    assert not found.more


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp("skip"), ["missed by 2 h", "missed by 90 min", "missed by 30 min"]),
        (CatchUp("last"), [*["missed, and a later tick is due"] * 2, "run"]),
        (
            CatchUp("last", 10 * MINUTE),
            [f"missed by {one}, too old to be caught up" for one in LATER],
        ),
        (CatchUp("all"), ["run"] * 3),
        (CatchUp("all", 2 * HOUR), ["missed by 2 h, too old to be caught up", "run", "run"]),
    ],
)
def test_three_hours_away_from_an_hourly_entry(catch_up: CatchUp, expected: list[str]) -> None:
    """B9."""
    clock = FakeClock()
    clock.advance(timedelta(minutes=30).total_seconds())
    found = plan(Interval(HOUR), catch_up, ago(clock, 3 * HOUR), ago(clock, 0))
    assert outcomes(found.ticks) == expected


def test_what_is_no_later_than_a_change_of_leaders_takes_is_on_time() -> None:
    clock = FakeClock()
    found = plan(Interval(1000), CatchUp("skip"), ago(clock, LATE + 1), ago(clock, 0))
    assert outcomes(found.ticks) == ["run"] * (LATE // 1000 + 1)


def test_a_long_absence_is_digested_in_bounded_steps() -> None:
    clock = FakeClock()
    last, now = ago(clock, 1_200 * MINUTE), ago(clock, 0)
    steps, ran = 0, 0
    more = True
    while more:
        found = plan(Interval(MINUTE), CatchUp("last"), last, now)
        assert 0 < len(found.ticks) <= MOST
        last, more = found.ticks[-1].tick, found.more
        steps, ran = steps + 1, ran + outcomes(found.ticks).count("run")
    assert (steps, last) == (3, now)
    assert ran == 2, "the newest two are no later than a change of leaders takes"


def test_nothing_is_due_twice() -> None:
    clock = FakeClock()
    now = ago(clock, 0)
    found = plan(Interval(MINUTE), CatchUp("all"), now - MINUTE, now)
    assert found.ticks == [Due(now)]
    assert plan(Interval(MINUTE), CatchUp("all"), now, now).ticks == []
