"""Mails, without their texts."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.orm import Session

from meet2be.mailings import listing
from meet2be.mailings.models import Mail
from meet2be.objects.base import Moment, Told, Uid

Status = Literal[
    "held", "queued", "limited", "sending", "sent", "uncertain", "failed", "suppressed",
    "cancelled", "bounced", "complained",
]  # fmt: skip


class MailTold(Told):
    """A mail to one address. Texts with secrets in them are not given."""

    uid: Uid
    kind: str
    to_name: str | None
    to_addr: str
    subject: str | None
    locale: str
    status: Status
    attempts: int
    last_error: str | None
    created_at: Moment
    next_at: Moment | None
    sent_at: Moment | None


def mail_fields(mail: Mail) -> dict[str, Any]:
    """Return what a mail's own row says, without its text."""
    return {name: getattr(mail, name) for name in MailTold.model_fields}


def mail_told(session: Session, uid: str) -> MailTold | None:
    """Return a mail; None when there is none."""
    mail = listing.find_mail(session, uid)
    return None if mail is None else MailTold(**mail_fields(mail))
