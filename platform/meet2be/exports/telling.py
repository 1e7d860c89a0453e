"""Who is told what about an export, in the commit that makes it true."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.db import tenant_of
from meet2be.events.models import Event
from meet2be.exports.models import Export, ExportSchedule
from meet2be.exports.permission import who_may_export
from meet2be.language import N_, Message
from meet2be.notifications.services import Notice, notify, notify_admins
from meet2be.webhooks.publishing import Announcement, publish

MOST_ERRORS: Final = 5
"""Failures in a row after which a schedule stops by itself."""


def tell_ready(
    session: Session, export: Export, event: Event, direct: str | None, now: datetime
) -> None:
    """Say that a file is there, to who asked and to a schedule's recipients."""
    schedule = _schedule_of(session, export)
    if schedule is not None:
        schedule.error_count, schedule.last_error = 0, None
    values: dict[str, Any] = {"event": event.title, "number": export.total}
    body = Message(
        N_("%(number)s row, kept until it is 7 days old."), values,
        "%(number)s rows, kept until they are 7 days old.", export.total,
    )  # fmt: skip
    if direct:
        body = Message(
            N_("%(rows)s Whoever has this address can fetch it: %(link)s"),
            {"rows": body, "link": direct},
        )
    _notice(
        session,
        export,
        schedule,
        Notice(
            kind="export.ready",
            severity="success",
            title=Message(N_("Your export of %(event)s is ready"), {"event": event.title[:120]}),
            body=body,
            dedupe_key=f"export.ready:{export.uid}",
            link=f"/exports/{export.uid}",
            related_type="export",
            related_id=export.id,
        ),
        now,
    )
    announce(
        session,
        export,
        "export.ready",
        {"format": export.format, "rows": export.total, "bytes": export.size},
        now,
    )


def tell_failed(session: Session, export: Export, code: str, why: Message, now: datetime) -> None:
    """Say that no file came to be, and why; a schedule counts it."""
    title = session.scalar(select(Event.title).where(Event.id == export.event_id)) or ""
    schedule = _schedule_of(session, export)
    _notice(
        session,
        export,
        None,  # recipients of a schedule are told of files, its owner of trouble
        Notice(
            kind="export.failed",
            severity="error",
            title=Message(N_("Your export of %(event)s has failed"), {"event": title[:120]}),
            body=why,
            dedupe_key=f"export.failed:{export.uid}",
            link=f"/exports/{export.uid}",
            related_type="export",
            related_id=export.id,
        ),
        now,
    )
    announce(session, export, "export.failed", {"format": export.format, "code": code}, now)
    if schedule is not None:
        count_error(session, schedule, why, now)


def count_error(session: Session, schedule: ExportSchedule, why: Message, now: datetime) -> None:
    """Count a failure of a schedule; after ``MOST_ERRORS`` in a row it stops, and its owner hears.

    Administrators hear too: its recipients wait for a file that nobody makes any more.
    """
    schedule.error_count += 1
    schedule.last_error = kept(why)
    if schedule.error_count < MOST_ERRORS or not schedule.enabled:
        return
    schedule.enabled, schedule.next_at = False, None
    session.flush()
    notice = Notice(
        kind="export.schedule_stopped",
        severity="warning",
        title=Message(
            N_("The regular export “%(name)s” was stopped"), {"name": schedule.name[:100]}
        ),
        body=Message(
            N_("It failed %(times)s times in a row, the last time because: %(why)s"),
            {"times": schedule.error_count, "why": why},
        ),
        dedupe_key=f"export.schedule_stopped:{schedule.uid}:{now.isoformat()}",
        link="/exports/schedules",
    )
    tenant_id = tenant_of(session) or 0
    notify(session, tenant_id, [schedule.owner_id], notice, now)
    notify_admins(session, tenant_id, notice, now)


def announce(
    session: Session, export: Export, kind: str, data: Mapping[str, Any], now: datetime
) -> None:
    """Tell the organisation's webhooks."""
    publish(
        session,
        Announcement(
            type=kind,
            subject_type="export",
            subject_uid=export.uid,
            dedupe_key=f"{kind}:{export.uid}",
            occurred_at=now,
            event_id=export.event_id,
            data=data,
        ),
    )


def kept(message: Message) -> dict[str, Any]:
    """Return a message as it is kept in a row, to be said in any reader's language."""
    return {
        "sentence": message.sentence,
        "values": {
            name: kept(value) if isinstance(value, Message) else value
            for name, value in message.values.items()
        },
        "plural": message.plural,
        "number": message.number,
    }


def said_again(row: Mapping[str, Any] | None) -> Message | None:
    """Return the message that a row keeps."""
    if not row:
        return None
    values = {
        name: said_again(value) if isinstance(value, dict) else value
        for name, value in row["values"].items()
    }
    sentence, plural = row["sentence"], row.get("plural")
    return Message(sentence, values, plural, row.get("number"))


def _schedule_of(session: Session, export: Export) -> ExportSchedule | None:
    if export.schedule_id is None:
        return None
    return session.scalar(select(ExportSchedule).where(ExportSchedule.id == export.schedule_id))


def _notice(
    session: Session,
    export: Export,
    schedule: ExportSchedule | None,
    notice: Notice,
    now: datetime,
) -> None:
    people = {export.requested_by}
    if schedule is not None:
        people |= who_may_export(session, schedule.recipients)
    notify(session, tenant_of(session) or 0, people, notice, now)
