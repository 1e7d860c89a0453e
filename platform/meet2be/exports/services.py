"""The verbs on exports: ask for one, cancel, ask again, delete, fetch; presets. Callers commit."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import CursorResult, and_, case, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.audit.services import Actor, record
from meet2be.db import clock_of, tenant_of
from meet2be.db.columns import new_uid
from meet2be.events.models import Event
from meet2be.exports.errors import (
    ExportNotPossible,
    NotDownloadable,
    TooManyExports,
    UnknownExport,
    format_gone,
    too_many_rows,
)
from meet2be.exports.exporters import exporters
from meet2be.exports.facts import ExportRequested
from meet2be.exports.models import OPEN_STATES, Export, ExportPreset
from meet2be.exports.permission import HELD, check_may_export
from meet2be.exports.reading import count_rows
from meet2be.exports.remains import COUNTED_FOR, counted_rows, leave, rows_left
from meet2be.exports.spec import ExportSpec
from meet2be.integrations.storage import clean_filename, tenant_key
from meet2be.language import N_, Message
from meet2be.plain_text import one_line
from meet2be.tenancy.limits import LimitReached, check_limit, hold_limits
from meet2be.tenancy.models import Tenant

KEPT_FOR: Final = timedelta(days=7)
MOST_AT_ONCE: Final = 10
"""Exports of one organisation that wait or run; more would only keep others waiting."""
MOST_PRESETS: Final = 50
WARN_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """An export that was asked for; ``joined`` when the same one was under way already."""

    export: Export
    joined: bool


@dataclass(frozen=True, slots=True)
class Planned:
    """The tick of a schedule that an export belongs to."""

    schedule_id: int
    at: datetime


def request_export(
    session: Session,
    event: Event,
    spec: ExportSpec,
    user_id: int,
    actor: Actor,
    now: datetime,
    planned: Planned | None = None,
) -> Asked:
    """Ask for an export, or join the same one that is under way.

    Raises ``ExportNotPossible`` when it is too large for its format or the person may not, and
    ``TooManyExports``.
    """
    check_may_export(session, user_id)
    request_hash = spec.hash_for(event.id, user_id, planned.schedule_id if planned else None)
    if (same := _under_way(session, request_hash)) is not None:
        return Asked(same, joined=True)
    rows = check_possible(session, event, spec)
    hold_limits(session)
    try:
        check_limit(session, "export_rows", exported_rows(session, now), rows)
    except LimitReached as error:
        raise ExportNotPossible("limit_reached", error.message) from error
    under_way = session.scalar(
        select(func.count()).select_from(Export).where(Export.state.in_(OPEN_STATES))
    )
    if (under_way or 0) >= MOST_AT_ONCE:
        raise TooManyExports(MOST_AT_ONCE)
    export = _row(session, event, spec, user_id, request_hash, planned, now)
    export.total = rows
    try:
        with session.begin_nested():
            session.add(export)
            session.flush()
    except IntegrityError:  # somebody's other click came first
        same = _under_way(session, request_hash)
        if same is None:
            raise
        return Asked(same, joined=True)
    facts.note(session, ExportRequested(tenant_of(session) or 0, export.uid))
    record(session, actor, "export.requested", "export", export.uid, after=_told(export, event))
    return Asked(export, joined=False)


def exported_rows(session: Session, now: datetime) -> int:
    """Return how many rows the tenant's exports had, or are to have, in the last 30 days.

    Those that were deleted count as well.
    """
    is_open = Export.state.in_(OPEN_STATES)
    rows = case((and_(is_open, Export.total > Export.done), Export.total), else_=Export.done)
    wanted = select(func.sum(rows)).where(Export.created_at > now - COUNTED_FOR)
    return int(session.scalar(wanted) or 0) + rows_left(session, now)


def check_possible(session: Session, event: Event, spec: ExportSpec) -> int:
    """Return how many rows there will be; raises ``ExportNotPossible`` with what to do instead."""
    exporter = exporters().get(spec.format)
    if exporter is None:
        raise format_gone(spec.format)
    if (trouble := exporter.trouble()) is not None:
        raise ExportNotPossible("format_unavailable", trouble)
    if len(spec.columns) > exporter.most_columns:
        raise ExportNotPossible(
            "too_many_columns",
            Message(
                N_("%(label)s takes up to %(most)s columns. Choose fewer, or another format."),
                {"label": Message(exporter.label), "most": f"{exporter.most_columns:,}"},
            ),
        )
    rows = count_rows(session, event.id, spec)
    if rows > exporter.most_rows:
        raise too_many_rows(exporter.label, rows, exporter.most_rows)
    return rows


def find(session: Session, uid: str) -> Export:
    """Return an export of the organisation; raises ``UnknownExport``."""
    export = session.scalar(select(Export).where(Export.uid == uid))
    if export is None:
        raise UnknownExport(uid)
    return export


def cancel(session: Session, uid: str, actor: Actor, now: datetime) -> bool:
    """Stop an export that waits or runs; tells whether there was something to stop.

    A worker notices within a second, and leaves nothing behind.
    """
    export = find(session, uid)
    changed = _move(session, export, OPEN_STATES, state="cancelled", finished_at=now)
    if changed:
        leave(session, export, now)
        record(session, actor, "export.cancelled", "export", uid)
    return changed


def ask_again(session: Session, uid: str, user_id: int, actor: Actor, now: datetime) -> Asked:
    """Ask anew for what an export was; its file, if there is one, stays until it expires."""
    export = find(session, uid)
    event = session.scalars(select(Event).where(Event.id == export.event_id)).one()
    return request_export(session, event, ExportSpec.from_json(export.spec), user_id, actor, now)


def delete(session: Session, uid: str, actor: Actor) -> str:
    """Remove an export from the list and return its file's key, to delete after the commit.

    The sweep removes the file, too: a store may refuse, and a worker may be writing it.
    """
    export = session.scalar(select(Export).where(Export.uid == uid).with_for_update())
    if export is None:
        raise UnknownExport(uid)
    leave(session, export, clock_of(session).now(), rows=counted_rows(export))
    session.delete(export)
    record(session, actor, "export.deleted", "export", uid, before={"filename": export.filename})
    return export.storage_key


def resume_held(session: Session) -> int:
    """Let the exports go on that waited for the organisation to be active; return how many."""
    held = session.scalars(
        select(Export)
        .where(Export.state == "queued", Export.error_code == HELD)
        .order_by(Export.id)
        .with_for_update()
    ).all()
    for export in held:
        export.error_code = export.error = None
        facts.note(session, ExportRequested(tenant_of(session) or export.tenant_id, export.uid))
    return len(held)


def fetched(session: Session, export: Export, actor: Actor, now: datetime) -> None:
    """Check that somebody may fetch the file now, and write down that they do.

    Raises ``NotDownloadable`` or ``ExportNotPossible`` with a reason to show.
    """
    if export.state == "expired" or (export.expires_at is not None and export.expires_at <= now):
        raise NotDownloadable(
            Message(N_("This file was kept for 7 days and is gone. Make it again."))
        )
    if export.state != "ready":
        raise NotDownloadable(Message(N_("This file is not ready.")))
    tenant = session.scalars(select(Tenant)).one()
    if tenant.status != "active":
        raise ExportNotPossible(
            HELD,
            Message(N_("Your organisation is suspended, so no file can be made or fetched.")),
        )
    statement = update(Export).where(Export.id == export.id)
    session.execute(
        statement.values(downloads=Export.downloads + 1, last_download_at=now).execution_options(
            synchronize_session=False
        )
    )
    record(session, actor, "export.downloaded", "export", export.uid)


def save_preset(
    session: Session, owner_id: int, name: str, spec: ExportSpec, actor: Actor
) -> ExportPreset:
    """Keep a wish under a name, in place of one of that name."""
    name = one_line(name)[:120]
    if not name:
        raise ExportNotPossible("preset_name", Message(N_("Give the saved selection a name.")))
    mine = select(ExportPreset).where(ExportPreset.owner_id == owner_id)
    found = session.scalar(mine.where(ExportPreset.name == name))
    if found is None:
        kept = session.scalar(select(func.count()).select_from(mine.subquery()))
        if (kept or 0) >= MOST_PRESETS:
            raise ExportNotPossible(
                "too_many_presets",
                Message(
                    N_("You have %(most)s saved selections; delete one first."),
                    {"most": MOST_PRESETS},
                ),
            )
        found = ExportPreset(owner_id=owner_id, name=name)
        session.add(found)
    found.spec = spec.as_json()
    session.flush()
    record(session, actor, "export_preset.saved", "export_preset", found.uid, after={"name": name})
    return found


def delete_preset(session: Session, owner_id: int, uid: str, actor: Actor) -> None:
    """Forget a saved wish of a person; raises ``UnknownExport``."""
    preset = find_preset(session, owner_id, uid)
    session.delete(preset)
    record(session, actor, "export_preset.deleted", "export_preset", uid)


def find_preset(session: Session, owner_id: int, uid: str) -> ExportPreset:
    """Return a saved wish of a person; raises ``UnknownExport``."""
    preset = session.scalar(
        select(ExportPreset).where(ExportPreset.uid == uid, ExportPreset.owner_id == owner_id)
    )
    if preset is None:
        raise UnknownExport(uid)
    return preset


def presets_of(session: Session, owner_id: int) -> Sequence[ExportPreset]:
    """Return what a person saved, by name."""
    return session.scalars(
        select(ExportPreset).where(ExportPreset.owner_id == owner_id).order_by(ExportPreset.name)
    ).all()


def _under_way(session: Session, request_hash: str) -> Export | None:
    return session.scalar(
        select(Export).where(Export.request_hash == request_hash, Export.state.in_(OPEN_STATES))
    )


def _row(
    session: Session,
    event: Event,
    spec: ExportSpec,
    user_id: int,
    request_hash: str,
    planned: Planned | None,
    now: datetime,
) -> Export:
    tenant = session.scalars(select(Tenant)).one()
    export = Export(
        event_id=event.id,
        requested_by=user_id,
        format=spec.format,
        spec=spec.as_json(),
        request_hash=request_hash,
        schedule_id=planned and planned.schedule_id,
        planned_at=planned and planned.at,
        filename=_filename(event, spec, now),
        uid=new_uid(),
    )
    export.storage_key = tenant_key(tenant.uid, "exports", export.uid, secrets.token_hex(16))
    return export


def _filename(event: Event, spec: ExportSpec, now: datetime) -> str:
    day = now.astimezone(spec.zone).date().isoformat()
    name = f"{'TEST ' if event.test_mode else ''}{event.title} {day}"
    return clean_filename(f"{name}.{exporters()[spec.format].suffix}", "export")


def _told(export: Export, event: Event) -> Mapping[str, Any]:
    # The search may name a person, and the log is kept longer than people are.
    spec = {name: value for name, value in export.spec.items() if name != "words"}
    return {"event": event.uid, "format": export.format, "spec": spec}


def _move(session: Session, export: Export, states: Sequence[str], **values: Any) -> bool:
    statement = update(Export).where(Export.id == export.id, Export.state.in_(states))
    found = session.execute(statement.values(**values).execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", found).rowcount == 1
