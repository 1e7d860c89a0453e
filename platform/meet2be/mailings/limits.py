"""How many mails leave: to one person in an hour, from an organisation in a day, in a second.

Counted by the broker, per person in a rolling window; a broker that lost its memory counts from
nothing. When a mail that waits for its reader's limit leaves is told to people from the outbox
itself: the places of that window are the moments at which mails left.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from meet2be.mailings.models import Mail
from meet2be.tenancy.limits import limit_of
from onqueue.errors import OnQueueError
from onqueue.limits import Limit
from onqueue.monitor import inspection_of

if TYPE_CHECKING:
    from meet2be.db import Database
    from onqueue.contracts import Clock, Queue

LIMITER: Final = "mails-of-a-person"
MOST_AN_HOUR: Final = 10
WINDOW: Final = timedelta(hours=1)
BELIEVED: Final = timedelta(minutes=1)
"""For how long a process believes what it read of an organisation's limit."""


def person_key(tenant_id: int | None, user_id: int | None, to_norm: str) -> str:
    """Return what counts one person's mails; it tells no address, since it stands in payloads."""
    who = f"user:{user_id}" if user_id is not None else f"address:{to_norm}"
    return hashlib.blake2b(f"{tenant_id}|{who}".encode(), digest_size=16).hexdigest()


def hourly(person: str) -> Limit:
    """Return the limit of one person."""
    return Limit.per_hour(MOST_AN_HOUR).rolling().by(person)


class SendingLimits:
    """The limits that are the same for many mails: of an organisation, and of the mail server."""

    def __init__(self, database: Database, clock: Clock, rate: int = 0) -> None:
        """Let ``rate`` mails leave in a second, all workers together; 0 is no limit."""
        self.rate = rate
        self._database = database
        self._clock = clock
        self._known: dict[int, tuple[int, datetime]] = {}

    def per_second(self) -> Limit:
        """Return the limit of the mail server, which all organisations share."""
        return Limit.per_second(self.rate).by("transport") if self.rate else Limit.none()

    def daily(self, tenant_id: int | None) -> Limit:
        """Return an organisation's limit; the platform's own mail (None) has none.

        Nobody's is less than one: who shall send nothing is suspended.
        """
        if tenant_id is None:
            return Limit.none()
        return _day_of(tenant_id, max(1, self._most(tenant_id)))

    def _most(self, tenant_id: int) -> int:
        now = self._clock.now()
        most, until = self._known.get(tenant_id, (0, now))
        if until <= now:
            with self._database.tenant_session(tenant_id, read_only=True) as session:
                most = limit_of(session, "mails_a_day")
            self._known[tenant_id] = most, now + BELIEVED
        return most


@dataclass(frozen=True, slots=True)
class MailDay:
    """An organisation's day as sending counts it; ``ends_at`` is None while none has begun."""

    tried: int
    ends_at: datetime | None


def day_of(queue: Queue, tenant_id: int, now: datetime) -> MailDay | None:
    """Return the organisation's day from what counts it; None when that cannot be asked now."""
    quota = _day_of(tenant_id, 1).quota(LIMITER)
    if quota is None:
        return None
    try:
        spent = inspection_of(queue, "the page of limits").spent(quota)
    except OnQueueError:
        return None
    ends_at = None if spent.opens_in is None else now + timedelta(seconds=spent.opens_in)
    return MailDay(spent.count, ends_at)


def _day_of(tenant_id: int, most: int) -> Limit:
    return Limit.per_day(most).by(f"tenant:{tenant_id}")


def free_slot_at(session: Session, mail: Mail, now: datetime, wait: float) -> datetime:
    """Return when a mail that waits may leave: not before ``wait`` seconds, and in its turn.

    For longer than an hour it waits for its organisation's limit, where nobody knows its turn.
    """
    if wait > WINDOW.total_seconds():
        return now + timedelta(seconds=wait)
    theirs = _same_person(mail)
    waiting = select(func.count()).select_from(Mail)
    in_front = session.scalar(waiting.where(theirs, Mail.status == "limited", Mail.id < mail.id))
    latest = select(Mail.sent_at).where(theirs, Mail.sent_at > now - WINDOW)
    sent = session.scalars(latest.order_by(Mail.sent_at.desc()).limit(MOST_AN_HOUR)).all()
    places = sorted(moment for moment in sent if moment is not None)
    told = now + timedelta(seconds=wait)
    rounds, place = divmod(in_front or 0, MOST_AN_HOUR)
    if (not in_front and wait) or len(places) < MOST_AN_HOUR:
        return told
    return max(told, places[place] + (rounds + 1) * WINDOW)


def _same_person(mail: Mail) -> ColumnElement[bool]:
    if mail.user_id is None:
        return and_(Mail.to_norm == mail.to_norm, Mail.user_id.is_(None))
    return and_(Mail.to_norm == mail.to_norm, Mail.user_id == mail.user_id)
