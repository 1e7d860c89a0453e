"""What a mail's outcome says about the attendee it was for."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import Connection, Table, bindparam, func, select, update

from meet2be.cancellations.models import CancelItem, CancelRun
from meet2be.db.prepared import Prepared
from meet2be.events.models import Event
from meet2be.language import Message
from meet2be.notifications.services import Notice

_STATES = {
    "sent": "sent",
    "failed": "failed",
    "uncertain": "uncertain",
    "suppressed": "suppressed",
    "queued": "queued",
    "bounced": "failed",
    "complained": "sent",
}
_ITEMS = cast("Table", CancelItem.__table__)
_RUNS = cast("Table", CancelRun.__table__)
_EVENTS = cast("Table", Event.__table__)
_SET_MAIL_STATE = Prepared(
    update(_ITEMS)
    .where(
        _ITEMS.c.id == bindparam("item"),
        _ITEMS.c.tenant_id.is_not_distinct_from(bindparam("tenant")),
    )
    .values(mail_state=bindparam("new_state"), updated_at=bindparam("now"))
)


def on_mail_settled(
    connection: Connection, tenant_id: int | None, related_id: int, status: str, now: datetime
) -> None:
    """Put the new state of the item's cancellation mail on it; the caller commits."""
    state = _STATES.get(status)
    if state is not None:
        values = {"item": related_id, "tenant": tenant_id, "new_state": state, "now": now}
        _SET_MAIL_STATE.run(connection, values)


def uncertain_of_run(connection: Connection, tenant_id: int, related_id: int) -> Notice | None:
    """Return the one notice of all mails of an item's run that may or may not have arrived.

    The run is locked to the end of the transaction, so that they are counted one by one.
    """
    found = connection.execute(
        select(_RUNS.c.id, _RUNS.c.uid, _EVENTS.c.title)
        .join(_ITEMS, _ITEMS.c.run_id == _RUNS.c.id)
        .join(_EVENTS, _EVENTS.c.id == _RUNS.c.event_id)
        .where(_ITEMS.c.id == related_id, _ITEMS.c.tenant_id == tenant_id)
        .with_for_update(of=_RUNS)
    ).one_or_none()
    if found is None:
        return None
    count = select(func.count()).where(
        _ITEMS.c.run_id == found.id, _ITEMS.c.mail_state == "uncertain"
    )
    return Notice(
        kind="mail_uncertain",
        severity="warning",
        title=Message(
            "%(number)s mail about %(event)s may or may not have arrived",
            {"event": found.title},
            plural="%(number)s mails about %(event)s may or may not have arrived",
            number=int(connection.execute(count).scalar_one()),
        ),
        body=Message(
            "What was handed over without an answer being recorded is not sent again by itself."
        ),
        link=f"/cancellations/{found.uid}?mail_state=uncertain#items",
        related_type="cancel_run",
        related_id=found.id,
        dedupe_key=f"mails-uncertain:{found.uid}",
    )
