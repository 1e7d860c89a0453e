"""Who comes, goes and changes, announced to an organisation's webhooks: without names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from meet2be.db import clock_of
from meet2be.db.columns import new_uid
from meet2be.webhooks.publishing import Announcement, publish, publish_many

INVITED, JOINED = "member.invited", "member.joined"
REMOVED, ROLE_CHANGED = "member.removed", "member.role_changed"


def announce(
    session: Session, type_: str, uid: str, *, tenant_id: int | None = None, **data: Any
) -> None:
    """Announce one of the above; ``uid`` is the person's, of ``INVITED`` the invitation's.

    In the commit that makes it true. ``tenant_id`` is for sessions of no tenant.
    """
    publish(session, _told(type_, uid, data, clock_of(session).now()), tenant_id=tenant_id)


def announce_many(session: Session, people: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
    """Announce many at once: kind, person and data of each; a generator is not begun for nobody."""
    now = clock_of(session).now()
    publish_many(session, (_told(type_, uid, data, now) for type_, uid, data in people))


def _told(type_: str, uid: str, data: Mapping[str, Any], now: datetime) -> Announcement:
    return Announcement(
        type=type_,
        subject_type="invitation" if type_ == INVITED else "member",
        subject_uid=uid,
        # Somebody may leave and come back: each time is a cause of its own.
        dedupe_key=f"{type_}:{uid}:{new_uid()}",
        occurred_at=now,
        data=data,
    )
