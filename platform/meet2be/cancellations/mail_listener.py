"""What a mail's outcome says about the attendee it was for."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import Connection, Table, bindparam, update

from meet2be.cancellations.models import CancelItem
from meet2be.db.prepared import Prepared

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
