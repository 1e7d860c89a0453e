"""What a mail's outcome says about the attendee it was for."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from meet2be.cancellations.models import CancelItem

_STATES = {
    "sent": "sent",
    "failed": "failed",
    "uncertain": "uncertain",
    "suppressed": "suppressed",
    "queued": "queued",
    "bounced": "failed",
    "complained": "sent",
}


def on_mail_settled(session: Session, item_id: int, status: str) -> None:
    """Put the new state of the item's cancellation mail on it; the caller commits."""
    state = _STATES.get(status)
    if state is not None:
        session.execute(
            update(CancelItem)
            .where(CancelItem.id == item_id)
            .values(mail_state=state)
            .execution_options(synchronize_session=False)
        )
