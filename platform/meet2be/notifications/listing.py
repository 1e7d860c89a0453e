"""A person's notices as the page shows them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.db.keyset import Order, Page, Slice, fetch_page
from meet2be.notifications.models import Notification

NEWEST_FIRST = Order((Notification.id,), descending=True)


def notices_page(session: Session, user_id: int, part: Slice, *, unread: bool = False) -> Page:
    """Return a page of the person's notices in the session's tenant, the newest first."""
    statement = select(Notification).where(Notification.user_id == user_id)
    if unread:
        statement = statement.where(Notification.read_at.is_(None))
    return fetch_page(session, statement, NEWEST_FIRST, part)


def position_of(session: Session, user_id: int, uid: str) -> tuple[object, ...] | None:
    """Return where a notice of the person stands in the list; None when it is not theirs."""
    found = session.scalar(
        select(Notification.id).where(Notification.user_id == user_id, Notification.uid == uid)
    )
    return None if found is None else (found,)
