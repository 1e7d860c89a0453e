"""Moments in a zone: quick for many of them, and the same as asking the zone for each."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meet2be.exports import reading
from meet2be.exports.reading import _moments

ZONES = [ZoneInfo(name) for name in ("Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu",
                                     "America/St_Johns", "Pacific/Apia", "Africa/Casablanca",
                                     "Antarctica/Troll", "UTC")]  # fmt: skip
SINCE = datetime(2000, 1, 1)  # noqa: DTZ001 -- as SQLite gives them
MOMENTS = st.datetimes(min_value=SINCE, max_value=datetime(2040, 1, 1))  # noqa: DTZ001


@given(st.lists(st.none() | MOMENTS, max_size=10), st.sampled_from(ZONES), st.booleans())
def test_moments_are_as_the_zone_has_them(
    moments: list[datetime | None], zone: ZoneInfo, aware: bool
) -> None:
    utc = [moment and moment.replace(tzinfo=UTC) for moment in moments]
    expected = [moment and moment.astimezone(zone).replace(tzinfo=None) for moment in utc]
    assert list(_moments(zone)(utc if aware else moments, ())) == expected


def test_the_hours_in_which_clocks_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_OFFSETS", 2)
    turn = _moments(ZoneInfo("Europe/Berlin"))
    hours = ("2026-03-29 00:59", "2026-03-29 01:00", "2026-10-25 00:59", "2026-10-25 01:00")
    moments = [datetime.fromisoformat(hour) for hour in hours]
    assert [str(moment)[11:16] for moment in turn(moments, ())] == [
        "01:59", "03:00", "02:59", "02:00",
    ]  # fmt: skip


def test_the_last_day_of_the_calendar_has_an_end_in_some_zones_only() -> None:
    noon = datetime(9999, 12, 31, 12)  # noqa: DTZ001 -- as SQLite gives them
    assert [str(moment) for moment in _moments(ZoneInfo("Europe/Berlin"))([noon], ())] == [
        "9999-12-31 13:00:00"
    ]
