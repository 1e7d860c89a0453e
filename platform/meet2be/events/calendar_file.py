"""An event as a file that calendars take in (iCalendar, RFC 5545)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from meet2be.events.models import Event

CONTENT_TYPE: Final = "text/calendar"
LONGEST_LINE: Final = 75
"""Octets, without the line's end (RFC 5545 §3.1)."""


def calendar_file(event: Event, address: str, now: datetime) -> str:
    """Return the file; a later one of the same event takes its place in a calendar.

    ``address`` is the event's public page. Times are in UTC: a calendar shows its reader's own.
    """
    lines = "\r\n".join(_folded(f"{name}:{value}") for name, value in _lines(event, address, now))
    return f"{lines}\r\n"


def _lines(event: Event, address: str, now: datetime) -> Iterator[tuple[str, str]]:
    yield "BEGIN", "VCALENDAR"
    yield "VERSION", "2.0"
    yield "PRODID", "-//Meet2Be//Meet2Be//EN"
    yield "METHOD", "PUBLISH"
    yield "BEGIN", "VEVENT"
    yield "UID", f"{event.uid}@meet2be"
    yield "SEQUENCE", str(event.version)
    yield "DTSTAMP", _moment(now)
    yield "DTSTART", _moment(event.starts_at)
    yield "DTEND", _moment(event.ends_at)
    yield "SUMMARY", _text(event.title)
    if event.place:
        yield "LOCATION", _text(event.place)
    yield "URL", address
    yield "STATUS", "CONFIRMED"
    yield "END", "VEVENT"
    yield "END", "VCALENDAR"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    """Escape what has a meaning (RFC 5545 §3.3.11), and leave out what no text may hold."""
    for sign in "\\;,":
        value = value.replace(sign, f"\\{sign}")
    value = value.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")
    return "".join(sign for sign in value if sign >= " " and sign != "\x7f")


def _folded(line: str) -> str:
    """Break a long line between characters; each further piece begins with a blank."""
    pieces, piece, size = [], "", 0
    for sign in line:
        length = len(sign.encode())
        if size + length > LONGEST_LINE:
            pieces.append(piece)
            piece, size = " ", 1
        piece, size = piece + sign, size + length
    return "\r\n".join([*pieces, piece])
