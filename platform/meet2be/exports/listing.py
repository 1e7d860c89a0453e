"""Exports as pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, column, select, table
from sqlalchemy.orm import Session

from meet2be.db.keyset import Order, Page, Slice, fetch_merged
from meet2be.events.models import Event
from meet2be.exports.models import OPEN_STATES, Export, ExportSchedule
from meet2be.exports.permission import ROLES
from meet2be.tenancy.models import Membership

NEWEST: Final = Order((Export.id,), descending=True)
STATES: Final = ("open", "ready", "failed", "cancelled", "expired")
_PEOPLE = table("users", column("id"), column("name"), column("status"))
_SAME_EVENT = and_(Event.tenant_id == Export.tenant_id, Event.id == Export.event_id)


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """Which exports are wanted; empty strings leave all in."""

    state: str = ""
    event_uid: str = ""


def exports_page(session: Session, wanted: ExportFilter, part: Slice) -> Page:
    """Return a page of (export, event), the newest first."""
    statement = select(Export, Event).join(Event, _SAME_EVENT)
    states: Sequence[str] = OPEN_STATES if wanted.state == "open" else (wanted.state,)
    if wanted.event_uid:
        event_id = session.scalar(select(Event.id).where(Event.uid == wanted.event_uid)) or 0
        statement = statement.where(Export.event_id == event_id)
    statements = [statement.where(Export.state == one) if one else statement for one in states]
    return fetch_merged(session, statements, NEWEST, part, whole_rows=True)


def position_of(session: Session, uid: str) -> tuple[object, ...] | None:
    """Return where an export stands in the list; None when it is gone."""
    row = session.execute(select(Export.id).where(Export.uid == uid)).one_or_none()
    return None if row is None else tuple(row)


def export_with_event(session: Session, uid: str) -> tuple[Export, Event] | None:
    """Return an export and its event; None when the organisation has none of that id."""
    row = session.execute(
        select(Export, Event).join(Event, _SAME_EVENT).where(Export.uid == uid)
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def schedules_with_events(session: Session) -> Sequence[Any]:
    """Return (schedule, event) of the organisation, by name."""
    return session.execute(
        select(ExportSchedule, Event)
        .join(
            Event,
            and_(Event.tenant_id == ExportSchedule.tenant_id, Event.id == ExportSchedule.event_id),
        )
        .order_by(ExportSchedule.name, ExportSchedule.id)
        .limit(200)
    ).all()


def names_of(session: Session, user_ids: Sequence[int]) -> dict[int, str]:
    """Return the names of people by their numbers."""
    rows = session.connection().execute(
        select(_PEOPLE.c.id, _PEOPLE.c.name).where(_PEOPLE.c.id.in_(list(user_ids)))
    )
    return {row.id: row.name for row in rows}


def possible_recipients(session: Session) -> list[tuple[int, str]]:
    """Return (number, name) of the organisation's people who may export, by name."""
    members = session.scalars(select(Membership.user_id).where(Membership.role.in_(ROLES))).all()
    rows = session.connection().execute(
        select(_PEOPLE.c.id, _PEOPLE.c.name)
        .where(_PEOPLE.c.id.in_(members), _PEOPLE.c.status == "active")
        .order_by(_PEOPLE.c.name)
        .limit(200)
    )
    return [(row.id, row.name) for row in rows]


def percent(export: Export) -> int:
    """Return how far an export is; 100 only when its link works."""
    if export.state == "ready":
        return 100
    if export.state == "uploading":
        return 97
    if not export.total:
        return 0
    return min(95, export.done * 95 // export.total)
