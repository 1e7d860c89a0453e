"""How much of its limits an organisation uses: counted from rows, its mails as sending counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from meet2be.accounts.members import seats_taken
from meet2be.events.listing import count_events
from meet2be.exports.services import exported_rows
from meet2be.mailings.limits import MailDay
from meet2be.mailings.models import EmailLog
from meet2be.tenancy.limits import LIMITS, Limit, limits_in
from meet2be.tenancy.models import Tenant
from meet2be.webhooks.models import WebhookEndpoint

MAILS: Final = "mails_a_day"
A_DAY: Final = timedelta(days=1)
TRIED: Final = ("sent", "deferred", "failed", "uncertain")
"""What came of mails that the limit of a day had let through; others have only waited."""


@dataclass(frozen=True, slots=True)
class Use:
    """A limit, how much of it there is and how much is used."""

    limit: Limit
    used: int
    most: int
    day: MailDay | None = None
    """The day that is meant, of what is counted by days."""

    @property
    def is_reached(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.most

    @property
    def is_close(self) -> bool:
        """Whether four fifths are used."""
        return self.used * 5 >= self.most * 4


def usage(session: Session, now: datetime, day: MailDay | None) -> list[Use]:
    """Return how the session's tenant stands with each limit.

    Mails are counted of the ``day`` that sending has counted. Without one, since it could not be
    asked, they are counted of the last 24 hours, in which there may be mails of two days.
    """
    most = limits_in(session.scalars(select(Tenant)).one())
    return [
        Use(limit, day.tried, most[key], day)
        if day is not None and key == MAILS
        else Use(limit, _COUNTS[key](session, now), most[key])
        for key, limit in LIMITS.items()
    ]


def _mails(session: Session, now: datetime) -> int:
    """Return how many mails were tried, each once however often it was."""
    tried = select(func.count(distinct(EmailLog.mail_id))).where(
        EmailLog.at > now - A_DAY, EmailLog.outcome.in_(TRIED)
    )
    return session.scalar(tried) or 0


def _endpoints(session: Session, _now: datetime) -> int:
    wanted = select(func.count(WebhookEndpoint.id)).where(WebhookEndpoint.status != "deleted")
    return session.scalar(wanted) or 0


_COUNTS: Final[dict[str, Callable[[Session, datetime], int]]] = {
    "members": lambda session, _now: seats_taken(session),
    "events": lambda session, _now: count_events(session),
    "export_rows": exported_rows,
    MAILS: _mails,
    "webhook_endpoints": _endpoints,
}
