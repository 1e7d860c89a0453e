"""When a schedule is due, across the changes of clocks and the ends of months."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from meet2be.exports.recurrence import Rule

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        (Rule("daily", time(7, 30)), "2026-06-01T05:29", "2026-06-01T05:30"),
        (Rule("daily", time(7, 30)), "2026-06-01T05:30", "2026-06-02T05:30"),
        # The night of 29 March 2026 has no 02:30: it comes at 03:30 of that day.
        (Rule("daily", time(2, 30)), "2026-03-28T12:00", "2026-03-29T01:30"),
        (Rule("daily", time(2, 30)), "2026-03-29T01:30", "2026-03-30T00:30"),
        # The night of 25 October 2026 has it twice: it comes once, the first time.
        (Rule("daily", time(2, 30)), "2026-10-24T12:00", "2026-10-25T00:30"),
        (Rule("daily", time(2, 30)), "2026-10-25T00:30", "2026-10-26T01:30"),
        (Rule("weekly", time(7, 0), weekday=0), "2026-06-01T05:00", "2026-06-08T05:00"),
        (Rule("monthly", time(7, 0), monthday=31), "2026-01-31T07:00", "2026-02-28T06:00"),
        (Rule("monthly", time(7, 0), monthday=31), "2026-03-01T07:00", "2026-03-31T05:00"),
    ],
)
def test_a_tick_is_at_its_time_of_day_whatever_the_clocks_do(
    rule: Rule, after: str, expected: str
) -> None:
    assert rule.next_after(at(after), BERLIN) == at(expected)


def test_east_of_the_date_line_today_may_still_come() -> None:
    rule = Rule("daily", time(0, 30))
    tick = rule.next_after(at("2026-06-01T10:00"), ZoneInfo("Pacific/Kiritimati"))
    assert tick == at("2026-06-01T10:30")
