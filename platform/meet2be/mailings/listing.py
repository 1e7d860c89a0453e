"""The outbox as its pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.db.keyset import Order, Page, Slice, by_number, fetch_merged
from meet2be.mailings.addresses import normal_form
from meet2be.mailings.models import MAIL_STATUSES, EmailLog, Mail

NEWEST_FIRST = Order((Mail.created_at, Mail.id), descending=True)
MOST_UNCERTAIN = 50


@dataclass(frozen=True, slots=True)
class MailFilter:
    """Which mails a list shows; empty ones leave all in. Times are of when a mail was written."""

    status: str = ""
    address: str = ""
    kind: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it leaves all in."""
        return self == MailFilter()


def mails_page(session: Session, wanted: MailFilter, part: Slice) -> Page:
    """Return a page of the tenant's mails, the newest first; places are named by `Mail.id`."""
    statement = select(Mail)
    if wanted.address:
        statement = statement.where(Mail.to_norm == normal_form(wanted.address))
    if wanted.since is not None:
        statement = statement.where(Mail.created_at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(Mail.created_at < wanted.until)
    if wanted.kind:
        statement = statement.where(Mail.kind == wanted.kind)
    # The index of kinds goes on with the status; an address has few mails of all kinds.
    has_many = wanted.kind and not wanted.address
    each_status = MAIL_STATUSES if has_many and not wanted.status else (wanted.status,)
    statements = [statement.where(Mail.status == one) if one else statement for one in each_status]
    return fetch_merged(session, statements, NEWEST_FIRST, by_number(session, NEWEST_FIRST, part))


def uncertain_mails(session: Session) -> list[Mail]:
    """Return the mails that wait for a person, the oldest first."""
    waiting = select(Mail).where(Mail.status == "uncertain").order_by(Mail.created_at, Mail.id)
    return list(session.scalars(waiting.limit(MOST_UNCERTAIN)))


def find_mail(session: Session, uid: str) -> Mail | None:
    """Return the tenant's mail of that name."""
    return session.scalar(select(Mail).where(Mail.uid == uid))


def position_of(session: Session, uid: str) -> tuple[object, ...] | None:
    """Return where a mail stands in the outbox; None when it is not the tenant's."""
    mail = find_mail(session, uid)
    return None if mail is None else (mail.id,)


def log_of(session: Session, mail: Mail) -> list[EmailLog]:
    """Return what came of each try to send the mail."""
    tries = select(EmailLog).where(EmailLog.mail_id == mail.id).order_by(EmailLog.n)
    return list(session.scalars(tries))
