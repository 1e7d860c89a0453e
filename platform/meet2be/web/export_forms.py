"""The form of an export: filled from an address, a saved selection or what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import abort, render_template, request
from sqlalchemy.orm import Session

from meet2be.accounts.services import Identity
from meet2be.attendees.listing import FILTERS
from meet2be.events.models import Event
from meet2be.exports import listing
from meet2be.exports import services as verbs
from meet2be.exports.columns import COLUMNS
from meet2be.exports.errors import ExportError, UnknownExport
from meet2be.exports.exporters import exporters
from meet2be.exports.models import Export, ExportSchedule
from meet2be.exports.pdf_fonts import missing_scripts
from meet2be.exports.reading import count_rows
from meet2be.exports.spec import DELIMITERS, ORDERS, ExportSpec, read_spec, usual_spec
from meet2be.language import LANGUAGES, N_, Message, said
from meet2be.web.paging import row_number
from meet2be.web.security import identity

FILTER_WORDS = {
    "active": N_("Valid ticket"),
    "cancelled": N_("Cancelled"),
    "checked_in": N_("Checked in"),
    "transferred": N_("Transferred"),
    "no_address": N_("Without address"),
    "refunded": N_("Something paid back"),
}
DELIMITER_WORDS = {
    "semicolon": N_("Semicolon ;"), "comma": N_("Comma ,"), "tab": N_("Tab"), "bar": N_("Bar |"),
}  # fmt: skip
ORDER_WORDS = {"name": N_("By name"), "registered": N_("As they registered")}
WEEKDAYS = (
    N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday"), N_("Saturday"),
    N_("Sunday"),
)  # fmt: skip


@dataclass(slots=True)
class Wish:
    """What the form holds, right or wrong; ``columns`` in their order."""

    given: dict[str, Any]
    columns: list[str]
    usual: ExportSpec
    plan: dict[str, Any] = field(default_factory=dict)
    preset: str = ""


def from_address(session: Session, person: Identity, event: Event) -> Wish:
    """Return the wish of an address: a saved selection, and the filters of a list."""
    usual = _usual(person, event)
    preset = request.args.get("preset", "")
    if preset:
        try:
            kept = verbs.find_preset(session, person.user_id, preset)
        except UnknownExport:
            abort(404)
        usual = ExportSpec.from_json(kept.spec)
    given = usual.as_json()
    columns = given.pop("columns")
    given["format"] = request.args.get("format", given["format"])
    given["words"] = request.args.get("q", given["words"]).strip()
    state = request.args.get("state", given["state"])
    given["state"] = state if state in FILTERS else ""
    return Wish(given, columns, usual, _usual_plan(event), preset)


def from_form(person: Identity, event: Event) -> Wish:
    """Return the wish that was sent."""
    form = request.form
    chosen = [key for key in form.getlist("columns") if key in COLUMNS]
    places = {key: row_number(form.get(f"place-{key}", "")) or (999,) for key in chosen}
    chosen.sort(key=lambda key: places[key])
    given: dict[str, Any] = {
        name: form[name]
        for name in ("format", "order", "language", "timezone", "delimiter", "state")
        if name in form
    }
    given |= {"words": form.get("q", ""), "bom": "bom" in form, "raw": "raw" in form}
    plan = {**_usual_plan(event), **{name: form[name] for name in _PLAN if name in form}}
    plan["recipients"] = recipients()
    return Wish(given, chosen, _usual(person, event), plan)


def from_schedule(schedule: ExportSchedule, person: Identity, event: Event) -> Wish:
    """Return the wish that a schedule keeps."""
    given = ExportSpec.from_json(schedule.spec).as_json()
    columns = given.pop("columns")
    plan = {name: getattr(schedule, name) for name in (*_PLAN[1:], "recipients")}
    plan |= {"name": schedule.name}
    return Wish(given, columns, _usual(person, event), plan)


_PLAN = ("name", "repeat", "weekday", "monthday", "time_of_day")


def spec_of(wish: Wish) -> ExportSpec:
    """Return the checked wish; raises ``BadExport``."""
    return read_spec(wish.given, wish.columns, tuple(exporters()), wish.usual)


def kept_spec(export: Export) -> ExportSpec:
    """Return what an export was asked to be."""
    return ExportSpec.from_json(export.spec)


def recipients() -> list[int]:
    """Return the people that a form chose."""
    numbers = (row_number(text) for text in request.form.getlist("recipients"))
    return [number[0] for number in numbers if number is not None]


def page(
    session: Session,
    event: Event,
    wish: Wish,
    problems: Mapping[str, Message] | None = None,
    *,
    problem: str = "",
    schedule: ExportSchedule | None = None,
) -> str:
    """Return the form, with what is wrong beside its fields."""
    shown = list(dict.fromkeys([*wish.columns, *COLUMNS]))
    rows, refusal = _estimate(session, event, wish)
    return render_template(
        "exports/new.html",
        event=event,
        wish=wish,
        columns=[COLUMNS[key] for key in shown],
        formats=[
            (exporter, said(trouble) if (trouble := exporter.trouble()) else "")
            for exporter in exporters().values()
        ],
        rows=rows,
        refusal=refusal,
        problems={name: said(message) for name, message in (problems or {}).items()},
        problem=problem,
        filter_words=FILTER_WORDS,
        delimiter_words=DELIMITER_WORDS,
        delimiters=DELIMITERS,
        orders=[(key, ORDER_WORDS[key]) for key in ORDERS],
        languages=LANGUAGES,
        weekdays=WEEKDAYS,
        people=listing.possible_recipients(session),
        presets=verbs.presets_of(session, identity().user_id),
        lacking=missing_scripts(),
        schedule=schedule,
        zones=_zones(event),
    )


def _estimate(session: Session, event: Event, wish: Wish) -> tuple[int | None, str]:
    """Return how many rows there will be, and why the format would refuse them."""
    try:
        spec = spec_of(wish)
        verbs.check_possible(session, event, spec)
        return count_rows(session, event.id, spec), ""
    except ExportError as error:
        return None, "" if hasattr(error, "problems") else said(error)


def _usual(person: Identity, event: Event) -> ExportSpec:
    return usual_spec(person.user_locale, event.timezone)


def _usual_plan(event: Event) -> dict[str, Any]:
    return {
        "name": event.title[:100],
        "repeat": "weekly",
        "weekday": "0",
        "monthday": "1",
        "time_of_day": "07:00",
        "recipients": [],
    }


def _zones(event: Event) -> Sequence[str]:
    return tuple(dict.fromkeys((event.timezone, identity().tenant_timezone, "UTC")))
