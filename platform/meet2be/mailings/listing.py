"""The outbox as its pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.db.keyset import Order, Page, Slice, fetch_page
from meet2be.mailings.addresses import normal_form
from meet2be.mailings.models import EmailLog, Mail

NEWEST_FIRST = Order((Mail.id,), descending=True)
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
    """Return a page of the tenant's mails, the newest first."""
    statement = select(Mail)
    if wanted.status:
        statement = statement.where(Mail.status == wanted.status)
    if wanted.address:
        statement = statement.where(Mail.to_norm == normal_form(wanted.address))
    if wanted.kind:
        statement = statement.where(Mail.kind == wanted.kind)
    if wanted.since is not None:
        statement = statement.where(Mail.created_at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(Mail.created_at < wanted.until)
    return fetch_page(session, statement, NEWEST_FIRST, part)


def uncertain_mails(session: Session) -> list[Mail]:
    """Return the mails that wait for a person, the oldest first."""
    waiting = select(Mail).where(Mail.status == "uncertain").order_by(Mail.id)
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
