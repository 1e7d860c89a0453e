"""When entries are due, also on the days on which clocks change.

What is expected of cron follows the notes in Debian's `man 8 cron`: jobs at fixed times run once on
such days, jobs with a `*` in minute or hour go by the time that passes.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onqueue.errors import ConfigurationError
from onqueue.schedule.cadence import Cadence, Cron, Interval

BERLIN, SANTIAGO, SYDNEY = "Europe/Berlin", "America/Santiago", "Australia/Sydney"
HOUR = 3_600_000


def moment(text: str, zone: str = "UTC") -> int:
    """Return a local time in milliseconds since the epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


def ticks(cadence: Cadence, after: int, count: int) -> list[int]:
    """Return the next ticks after a moment."""

    def following() -> Iterator[int]:
        found = [after]
        while True:
            tick = cadence.after(found[-1])
            assert tick is not None and tick > found[-1]
            found.append(tick)
            yield tick

    return list(islice(following(), count))


def in_utc(moments: list[int]) -> list[str]:
    return [datetime.fromtimestamp(one / 1000, UTC).strftime("%d %H:%M") for one in moments]


# Of each change of the clocks: the expression, the evening before, and the ticks in UTC.
CHANGES = [
    # Berlin, 29 March 2026: 02:00 becomes 03:00 (01:00 UTC). 02:30 does not exist.
    ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["29 01:00", "30 00:30"]),
    # Both times that are left out are the same instant, and that is one tick.
    ("0,30 2 * * *", BERLIN, "2026-03-28T12:00", ["29 01:00", "30 00:00", "30 00:30"]),
    ("0 2,3 * * *", BERLIN, "2026-03-28T12:00", ["29 01:00", "30 00:00", "30 01:00"]),
    ("0 * * * *", BERLIN, "2026-03-29T00:30", ["29 00:00", "29 01:00", "29 02:00"]),
    ("*/20 2 * * *", BERLIN, "2026-03-29T00:30", ["30 00:00", "30 00:20", "30 00:40"]),
    # Berlin, 25 October 2026: 03:00 becomes 02:00 (01:00 UTC). 02:30 comes twice.
    ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["25 00:30", "26 01:30"]),
    ("0 * * * *", BERLIN, "2026-10-25T00:30", ["24 23:00", "25 00:00", "25 01:00", "25 02:00"]),
    ("*/30 * * * *", BERLIN, "2026-10-25T01:40",
     ["25 00:00", "25 00:30", "25 01:00", "25 01:30", "25 02:00"]),
    # Santiago, 6 September 2026: midnight becomes 01:00 (04:00 UTC).
    ("0 0 * * *", SANTIAGO, "2026-09-05T12:00", ["06 04:00", "07 03:00"]),
    # Santiago, 5 April 2026: midnight becomes 23:00 of the day before (03:00 UTC).
    ("30 23 * * *", SANTIAGO, "2026-04-04T12:00", ["05 02:30", "06 03:30"]),
    # Sydney, 4 October 2026 forward at 02:00 (16:00 UTC), 5 April back at 03:00 (16:00 UTC).
    ("15 2 * * 0", SYDNEY, "2026-10-03T12:00", ["03 16:00", "10 15:15"]),
    ("15 2 * * 0", SYDNEY, "2026-04-04T12:00", ["04 15:15", "11 16:15"]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "zone", "before", "expected"), CHANGES)
def test_cron_on_days_on_which_clocks_change(
    expression: str, zone: str, before: str, expected: list[str]
) -> None:
    """B9."""
    found = ticks(Cron(expression, zone), moment(before, zone), len(expected))
    assert in_utc(found) == expected


def test_a_time_that_comes_twice_counts_once_whenever_somebody_looks() -> None:
    """B9."""
    cadence = Cron("30 2 * * *", BERLIN)
    first = moment("2026-10-25T00:30")
    between = range(first, first + 2 * HOUR, 60_000)
    assert {cadence.after(one) for one in between} == {moment("2026-10-26T01:30")}


def test_an_interval_neither_grows_nor_shrinks_when_clocks_change() -> None:
    """B9."""
    found = ticks(Interval(HOUR), moment("2026-10-24T22:30"), 5)
    assert in_utc(found) == ["24 23:00", "25 00:00", "25 01:00", "25 02:00", "25 03:00"]


WILD = ["*/7 * * * *", "5 */2 * * *", "* 2 * * *", "*/15 0-4 * * 0", "0 * 25-29 3,10 *"]


@pytest.mark.parametrize("expression", WILD)
@pytest.mark.parametrize("zone", [BERLIN, SANTIAGO, SYDNEY])
@pytest.mark.parametrize("day", ["2026-03-28", "2026-04-04", "2026-09-05", "2026-10-03"])
def test_wildcards_are_due_at_each_minute_that_fits_the_local_time(
    expression: str, zone: str, day: str
) -> None:
    cadence = Cron(expression, zone)
    start = moment(f"{day}T00:00")
    end = start + 48 * HOUR
    fits = [
        minute
        for minute in range(start + 60_000, end, 60_000)
        if _fits(expression, datetime.fromtimestamp(minute / 1000, ZoneInfo(zone)))
    ]
    found = []
    tick = cadence.after(start)
    while tick is not None and tick < end:
        found.append(tick)
        tick = cadence.after(tick)
    assert found == fits


def _fits(expression: str, local: datetime) -> bool:
    minute, hour, day, month, weekday = expression.split()
    return all(
        _field_fits(field, value)
        for field, value in (
            (minute, local.minute),
            (hour, local.hour),
            (day, local.day),
            (month, local.month),
            (weekday, local.isoweekday() % 7),
        )
    )


def _field_fits(field: str, value: int) -> bool:
    for part in field.split(","):
        numbers, _, step = part.partition("/")
        first, _, last = numbers.partition("-")
        low, high = (0, 99) if first == "*" else (int(first), int(last or first))
        if low <= value <= high and (value - low) % int(step or 1) == 0:
            return True
    return False


@given(
    st.sampled_from(["30 2 * * *", "0 0 1 * *", "*/10 * * * *", "59 23 31 12 *", "0 3 * * 1-5"]),
    st.sampled_from([BERLIN, SANTIAGO, SYDNEY, "UTC", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - made aware below
    st.integers(0, 10**7),
)
@settings(max_examples=60, deadline=None)
def test_no_tick_lies_between_a_moment_and_the_next(
    expression: str, zone: str, when: datetime, later: int
) -> None:
    cadence = Cron(expression, zone)
    start = int(when.replace(tzinfo=UTC).timestamp() * 1000)
    tick = cadence.after(start)
    assert tick is not None and tick > start
    assert cadence.after(min(tick - 1, start + later)) == tick


@pytest.mark.parametrize(
    ("expression", "zone", "words"),
    [
        ("0 7 * *", "UTC", "it must have five fields, not 4"),
        ("0 0 7 * * *", "UTC", r"five fields, not 6: use \.every\(seconds=…\)"),
        ("61 7 * * *", "UTC", "'61 7 .*bad minute"),
        ("0 7 * * MOON", "UTC", "bad day-of-week"),
        ("0 7 30 2 *", "UTC", "bad day-of-month"),
        ("0 7 * * *", "Europe/Berlyn", "'Europe/Berlyn' .*no such time zone, did you mean"),
        ("0 7 * * *", "../etc", "no such time zone"),
    ],
)
def test_what_cannot_be_is_told(expression: str, zone: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Cron(expression, zone)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "every second"),
        (90, "every 90 seconds"),
        (300, "every 5 minutes"),
        (86_400, "every day"),
    ],
)
def test_an_interval_says_what_it_is(seconds: int, words: str) -> None:
    assert str(Interval(seconds * 1000)) == words


def test_a_day_is_the_length_it_has() -> None:
    cadence = Cron("0 12 * * *", BERLIN)
    first, second = ticks(cadence, moment("2026-03-28T10:00"), 2)
    assert timedelta(milliseconds=second - first) == timedelta(hours=23)
