"""An event as calendars take it in."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from meet2be.events.calendar_file import LONGEST_LINE, calendar_file
from meet2be.events.models import Event

PAGE = "https://meet2be.example/t/aurora/summit"
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def made(**changes: object) -> list[tuple[str, str]]:
    """Return the lines of an event's file, put together again, as names and values."""
    given: dict[str, object] = {
        "uid": "u1", "title": "Aurora Summit", "version": 3, "place": None, "timezone": "UTC",
        "starts_at": datetime(2027, 5, 14, 11, 0, tzinfo=ZoneInfo("Europe/Berlin")),
        "ends_at": datetime(2027, 5, 16, 18, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        **changes,
    }  # fmt: skip
    text = calendar_file(Event(**given), PAGE, NOW)
    assert text.endswith("\r\n")
    assert all(len(line.encode()) <= LONGEST_LINE for line in text.split("\r\n"))
    lines = text.replace("\r\n ", "").removesuffix("\r\n").split("\r\n")
    return [(name, value) for name, _, value in (line.partition(":") for line in lines)]


def test_an_event_stands_in_its_file_with_times_that_every_calendar_can_turn() -> None:
    assert made(place="Halle 7, Köln") == [
        ("BEGIN", "VCALENDAR"),
        ("VERSION", "2.0"),
        ("PRODID", "-//Meet2Be//Meet2Be//EN"),
        ("METHOD", "PUBLISH"),
        ("BEGIN", "VEVENT"),
        ("UID", "u1@meet2be"),
        ("SEQUENCE", "3"),
        ("DTSTAMP", "20261122T080000Z"),
        ("DTSTART", "20270514T090000Z"),
        ("DTEND", "20270516T163000Z"),
        ("SUMMARY", "Aurora Summit"),
        ("LOCATION", "Halle 7\\, Köln"),
        ("URL", PAGE),
        ("STATUS", "CONFIRMED"),
        ("END", "VEVENT"),
        ("END", "VCALENDAR"),
    ]


def test_no_title_breaks_a_line_or_starts_one_of_its_own() -> None:
    title = "🎪日本 " * 30 + "; back\\slash\r\nATTENDEE:mailto:x@y.example\x07"
    lines = dict(made(title=title))
    assert "ATTENDEE" not in lines
    assert lines["SUMMARY"] == ("🎪日本 " * 30 + "\\; back\\\\slash\\nATTENDEE:mailto:x@y.example")
