"""What a mail's outcome says about the attendee it was for."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table, bindparam, update
from sqlalchemy.orm import Session

from meet2be.cancellations.models import CancelItem
from meet2be.db import clock_of, tenant_of

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
_SET_MAIL_STATE = (
    update(_ITEMS)
    .where(_ITEMS.c.id == bindparam("item"))
    .values(mail_state=bindparam("new_state"), updated_at=bindparam("now"))
)
_SET_OWN_MAIL_STATE = _SET_MAIL_STATE.where(_ITEMS.c.tenant_id == bindparam("tenant"))


def on_mail_settled(session: Session, item_id: int, status: str) -> None:
    """Put the new state of the item's cancellation mail on it; the caller commits."""
    state = _STATES.get(status)
    if state is None:
        return
    values = {"item": item_id, "new_state": state, "now": clock_of(session).now()}
    tenant = tenant_of(session)
    if tenant is None:  # the relay's step over all tenants; an item's id is unique among them
        session.connection().execute(_SET_MAIL_STATE, values)
    else:
        session.connection().execute(_SET_OWN_MAIL_STATE, {**values, "tenant": tenant})
