"""How many mails one person gets in an hour, and when the next one may leave.

Counted by the broker in a rolling window, per organisation and person, else per address; a broker
that lost its memory counts from nothing. When a waiting mail leaves is told to people from the
outbox itself: the places of that window are the moments at which mails left.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from meet2be.mailings.models import Mail
from onqueue.limits import Limit

LIMITER: Final = "mails-of-a-person"
MOST_AN_HOUR: Final = 10
WINDOW: Final = timedelta(hours=1)


def person_key(tenant_id: int | None, user_id: int | None, to_norm: str) -> str:
    """Return what counts one person's mails; it tells no address, since it stands in payloads."""
    who = f"user:{user_id}" if user_id is not None else f"address:{to_norm}"
    return hashlib.blake2b(f"{tenant_id}|{who}".encode(), digest_size=16).hexdigest()


def hourly(person: str) -> Limit:
    """Return the limit of one person."""
    return Limit.per_hour(MOST_AN_HOUR).rolling().by(person)


def free_slot_at(session: Session, mail: Mail, now: datetime, wait: float) -> datetime:
    """Return when a mail that waits may leave: not before ``wait`` seconds, and in its turn."""
    theirs = _same_person(mail)
    waiting = select(func.count()).select_from(Mail)
    in_front = session.scalar(waiting.where(theirs, Mail.status == "limited", Mail.id < mail.id))
    latest = select(Mail.sent_at).where(theirs, Mail.sent_at > now - WINDOW)
    sent = session.scalars(latest.order_by(Mail.sent_at.desc()).limit(MOST_AN_HOUR)).all()
    places = sorted(moment for moment in sent if moment is not None)
    told = now + timedelta(seconds=min(wait, WINDOW.total_seconds()))
    rounds, place = divmod(in_front or 0, MOST_AN_HOUR)
    if (not in_front and wait) or len(places) < MOST_AN_HOUR:
        return told
    return max(told, places[place] + (rounds + 1) * WINDOW)


def _same_person(mail: Mail) -> ColumnElement[bool]:
    if mail.user_id is None:
        return and_(Mail.to_norm == mail.to_norm, Mail.user_id.is_(None))
    return and_(Mail.to_norm == mail.to_norm, Mail.user_id == mail.user_id)
