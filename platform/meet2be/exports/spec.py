"""What somebody wishes of an export, checked once and kept as JSON beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self
from zoneinfo import ZoneInfo, available_timezones

from meet2be.attendees.listing import FILTERS, LONGEST_SEARCH, AttendeeSearch
from meet2be.exports.columns import COLUMNS, USUAL
from meet2be.exports.errors import BadExport
from meet2be.language import LANGUAGES, N_, Message, language_of

DELIMITERS: Final[Mapping[str, str]] = {
    "semicolon": ";", "comma": ",", "tab": "\t", "bar": "|",
}  # fmt: skip
ORDERS: Final = ("name", "registered")
"""By name as on the page, or as people came in."""


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """A checked wish. ``raw`` is text for programs: no mark of the encoding, nothing guarded."""

    format: str = "xlsx"
    columns: tuple[str, ...] = USUAL
    words: str = ""
    state: str = ""
    order: str = "name"
    language: str = "en"
    timezone: str = "UTC"
    delimiter: str = "semicolon"
    bom: bool = True
    raw: bool = False

    @property
    def search(self) -> AttendeeSearch:
        """Which attendees are wanted."""
        return AttendeeSearch(self.words, self.state)

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which moments are written."""
        return ZoneInfo(self.timezone)

    def as_json(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {**asdict(self), "columns": list(self.columns)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Return a kept wish; what it asks for and this release lacks is left out."""
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in kept.items() if name in known}
        columns = tuple(key for key in values.get("columns", ()) if key in COLUMNS)
        return cls(**{**values, "columns": columns or USUAL})

    def hash_for(self, event_id: int, user_id: int, schedule_id: int | None = None) -> str:
        """Return what is equal for equal wishes of one person: a second click joins the first.

        Those of a schedule join only its own: each tells its own recipients.
        """
        whole = json.dumps([event_id, user_id, schedule_id, self.as_json()], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()


def read_spec(
    given: Mapping[str, Any], columns: Sequence[str], formats: Sequence[str], usual: ExportSpec
) -> ExportSpec:
    """Return the wish that plain values make; raises ``BadExport`` with every problem.

    ``columns`` are in their order. What is not given is as in ``usual``.
    """
    problems: dict[str, Message] = {}

    def one_of(name: str, allowed: Sequence[str]) -> str:
        value = str(given.get(name, getattr(usual, name)))
        if value not in allowed:
            problems[name] = Message(N_("'%(value)s' is not a choice here."), {"value": value[:60]})
        return value

    unknown = [key for key in columns if key not in COLUMNS]
    if unknown:
        problems["columns"] = Message(
            N_("There is no column '%(key)s'."), {"key": str(unknown[0])[:60]}
        )
    elif not columns:
        problems["columns"] = Message(N_("Choose one column at least."))
    state = str(given.get("state", usual.state))
    if state and state not in FILTERS:
        problems["state"] = Message(N_("'%(value)s' is not a choice here."), {"value": state[:60]})
    timezone = str(given.get("timezone", usual.timezone))
    if timezone not in available_timezones():
        problems["timezone"] = Message(
            N_("There is no time zone '%(zone)s'; they are called as in Europe/Berlin."),
            {"zone": timezone[:60]},
        )
    spec = ExportSpec(
        format=one_of("format", formats),
        columns=tuple(dict.fromkeys(columns)),
        words=_one_line(given.get("words", usual.words)),
        state=state,
        order=one_of("order", ORDERS),
        language=one_of("language", tuple(LANGUAGES)),
        timezone=timezone,
        delimiter=one_of("delimiter", tuple(DELIMITERS)),
        bom=bool(given.get("bom", usual.bom)),
        raw=bool(given.get("raw", usual.raw)),
    )
    if problems:
        raise BadExport(problems)
    return spec


def usual_spec(locale: str, timezone: str) -> ExportSpec:
    """Return what a new export begins with: as spreadsheets of that language like it."""
    language = language_of(locale)
    return ExportSpec(
        language=language,
        timezone=timezone,
        delimiter="comma" if locale.replace("_", "-").lower().startswith("en") else "semicolon",
    )


def _one_line(value: Any) -> str:
    return " ".join(str(value or "").split())[:LONGEST_SEARCH]
