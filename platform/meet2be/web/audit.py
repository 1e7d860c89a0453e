"""The audit log, for administrators: filtered by the address, and as a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.accounts.members import people_in
from meet2be.accounts.services import names_of
from meet2be.audit import listing
from meet2be.audit.listing import AuditFilter
from meet2be.audit.models import ACTOR_KINDS, AuditEntry
from meet2be.audit.services import record
from meet2be.cancellations.report import harmless
from meet2be.web.actors import actor
from meet2be.web.downloads import download
from meet2be.web.paging import listing as listed
from meet2be.web.paging import row_number, wanted_slice
from meet2be.web.security import CANCEL, identity, requires, services, tenant_session

blueprint = Blueprint("audit", __name__)
COLUMNS = (
    "at", "action", "actor_kind", "actor_id", "actor_name", "ip", "user_agent", "object_type",
    "object_id", "reason", "before", "after", "job_id",
)  # fmt: skip


@blueprint.get("/audit")
@requires(CANCEL)
def index() -> ResponseReturnValue:
    """List who did what, the newest first."""
    wanted, session = _wanted(), tenant_session(read_only=True)
    page = listing.entries_page(session, wanted, wanted_slice(row_number))
    return render_template(
        "audit/index.html",
        page=listed(page, lambda entry: str(entry.id)),
        wanted=wanted,
        given=request.args,
        kinds=ACTOR_KINDS,
        people=people_in(session),
        names=_names(page.rows),
    )


@blueprint.get("/audit.csv")
@requires(CANCEL)
def file() -> ResponseReturnValue:
    """Give the filtered entries as a file; that somebody took it is an entry of its own."""
    writing = tenant_session()
    tenant_uid = identity().tenant_uid or ""
    record(writing, actor(), "audit.exported", "tenant", tenant_uid, after=dict(request.args))
    writing.commit()
    session = tenant_session(read_only=True)
    return download("audit-log.csv", _lines(session, _wanted()))


def _lines(session: Session, wanted: AuditFilter) -> Iterator[str]:
    yield "\ufeff" + _line(COLUMNS)
    names: dict[int, str] = {}
    for entry in listing.all_entries(session, wanted):
        number = _person(entry)
        if number is not None and number not in names:
            names.update({number: "", **_names([entry])})
        yield _line(_cells(entry, names.get(number or 0, "")))


def _cells(entry: AuditEntry, name: str) -> tuple[object, ...]:
    return (
        entry.at.isoformat(), entry.action, entry.actor_kind, entry.actor_id or "", name,
        entry.ip or "", entry.user_agent or "", entry.object_type, entry.object_id,
        entry.reason or "", _json(entry.before), _json(entry.after), entry.job_id or "",
    )  # fmt: skip


def _json(document: dict[str, object] | None) -> str:
    return "" if document is None else json.dumps(document, ensure_ascii=False, sort_keys=True)


def _line(cells: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([harmless(cell) for cell in cells])
    return text.getvalue()


def _person(entry: AuditEntry) -> int | None:
    is_person = entry.actor_kind in {"user", "operator"} and (entry.actor_id or "").isdecimal()
    return int(entry.actor_id or 0) if is_person else None


def _names(entries: list[AuditEntry]) -> dict[int, str]:
    people = {number for entry in entries if (number := _person(entry)) is not None}
    with services().database.system_session("name who acted", read_only=True) as session:
        return names_of(session, people)


def _wanted() -> AuditFilter:
    """Return the filter of the address; what it does not understand leaves all in."""
    given = request.args
    kind, person = given.get("actor", ""), given.get("person", "")
    until = _day(given.get("to", ""))
    return AuditFilter(
        action=given.get("action", "").strip()[:64],
        actor_kind=kind if kind in ACTOR_KINDS else "",
        object_id=given.get("object", "").strip()[:64],
        person=person if person.isdecimal() and len(person) < 18 else "",
        since=_day(given.get("from", "")),
        until=None if until is None else until + timedelta(days=1),
    )


def _day(text: str) -> datetime | None:
    """Return the beginning of a day in the person's zone, None for what is no day."""
    try:
        start = datetime.combine(date.fromisoformat(text), time(), ZoneInfo(identity().timezone))
        return start.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
