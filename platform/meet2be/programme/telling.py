"""What is written and announced of a change: the audit log, and whoever listens by webhook."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from meet2be.audit.services import Actor, record
from meet2be.db import clock_of
from meet2be.db.columns import new_uid
from meet2be.events.models import Event, TicketType
from meet2be.webhooks.publishing import Announcement, publish


def tell(
    session: Session,
    thing: Event | TicketType,
    verb: str,
    actor: Actor,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    data: Mapping[str, Any],
) -> None:
    """Write a change of an event or a kind of ticket into the audit log and announce it.

    ``verb`` is the end of both names, as in ``event.published``; ``data`` goes to endpoints.
    """
    kind = "event" if isinstance(thing, Event) else "ticket_type"
    record(
        session, actor, f"{kind}.{verb}", kind, thing.uid,
        before=None if before is None else plain(before),
        after=None if after is None else plain(after),
    )  # fmt: skip
    told = Announcement(
        type=f"{kind}.{verb}",
        subject_type=kind,
        subject_uid=thing.uid,
        event_id=thing.id if isinstance(thing, Event) else thing.event_id,
        data=data,
        dedupe_key=f"{kind}.{verb}:{thing.uid}:{new_uid()}",
        occurred_at=clock_of(session).now(),
    )
    publish(session, told)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON takes them: moments in words."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def changes(
    thing: Event | TicketType, wanted: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is to change, as it is now and as it will be."""
    after = {name: value for name, value in wanted.items() if getattr(thing, name) != value}
    return {name: getattr(thing, name) for name in after}, after
