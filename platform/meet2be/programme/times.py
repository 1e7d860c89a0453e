"""Moments as people write them: a day and a time on the clocks of a place."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from meet2be.language import Message
from meet2be.programme.errors import EntryRefused

FORM = "%Y-%m-%dT%H:%M"
"""How HTML's ``datetime-local`` writes a moment (HTML, 2.3.5.5)."""


def moment_at(field: str, text: str, zone: str, present: datetime | None = None) -> datetime:
    """Return the moment that the clocks of ``zone`` show as ``text``, in UTC.

    A time that comes twice, when clocks go back, is the first of both, unless ``present`` (what the
    field held before) is the second. Raises ``EntryRefused`` for what is no moment there.
    """
    try:
        shown = datetime.strptime(text.strip()[:16], FORM)  # noqa: DTZ007 -- its zone follows
        first = shown.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        is_there = first.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == shown
    except (ValueError, OverflowError) as error:
        raise EntryRefused(field, Message("Give a day and a time.")) from error
    if not is_there:
        why = Message("The clocks go forward then, so %(time)s does not come. Choose another time.",
                      {"time": shown.strftime("%H:%M")})  # fmt: skip
        raise EntryRefused(field, why)
    if present is not None and written(present, zone) == shown.strftime(FORM):
        return present
    return first


def written(moment: datetime | None, zone: str) -> str:
    """Return a moment as a form's field shows it on the clocks of ``zone``; empty for none."""
    return "" if moment is None else moment.astimezone(ZoneInfo(zone)).strftime(FORM)
