"""What people write into cells, in the words that the rules for attendees know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from meet2be.attendees import row_parsing as states

AROUND: Final = " \t\r\n\u00a0\u200b\u200c\u200d\u2060\ufeff\u202f\u3000"
"""Blanks of all kinds and marks nobody sees, which spreadsheets leave around text."""
STATES: Final[Mapping[str, str]] = {
    "bezahlt": states.PAID,
    "complete": states.PAID,
    "completed": states.PAID,
    "succeeded": states.PAID,
    "offen": states.PENDING,
    "ausstehend": states.PENDING,
    "unpaid": states.PENDING,
    "unbezahlt": states.PENDING,
    "open": states.PENDING,
    "erstattet": states.REFUNDED,
    "zurückerstattet": states.REFUNDED,
    "teilweise erstattet": states.PARTLY,
    "partially refunded": states.PARTLY,
    "strittig": states.DISPUTED,
    "kostenlos": states.FREE,
    "gratis": states.FREE,
    "frei": states.FREE,
}
YES: Final[Mapping[str, str]] = {"ja": "yes", "j": "yes", "x": "yes", "wahr": "yes",
                                 "nein": "no", "falsch": "no", "-": "no"}  # fmt: skip
LANGUAGES: Final[Mapping[str, str]] = {
    "deutsch": "de",
    "german": "de",
    "englisch": "en",
    "english": "en",
    "französisch": "fr",
    "french": "fr",
    "spanisch": "es",
    "spanish": "es",
    "italienisch": "it",
    "italian": "it",
}
_MOMENTS: Final = (
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y, %H:%M", "%d.%m.%y",
    "%Y/%m/%d", "%Y/%m/%d %H:%M",
)  # fmt: skip
_SIGNS: Final = re.compile(r"\s*(?:€|EUR|\$|USD|£|GBP|CHF)\s*")


@lru_cache(maxsize=4096)
def moment(text: str, zone: str) -> str:
    """Return a day or time in ISO 8601 with its zone; as it is where it is none.

    What names no zone is in the event's; "3/4/2026" is left alone: it means two days.
    """
    found: datetime | None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = next(filter(None, (_parsed(text, form) for form in _MOMENTS)), None)
    if found is None:
        return text
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(zone))
    try:
        return found.astimezone(UTC).isoformat()
    except OverflowError:
        return text


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 -- its zone is the event's
    except ValueError:
        return None


def amount(text: str) -> str:
    """Return an amount without the sign of its currency."""
    return _SIGNS.sub("", text) if text else text
