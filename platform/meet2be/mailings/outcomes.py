"""Writing down how a try to send a mail ended, and telling who must hear of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from meet2be.mailings.models import EmailLog, Mail, MailSuppression
from meet2be.notifications.services import Notice, notify_admins

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

NO_SUCH_MAILBOX = frozenset({550, 551, 553})
LOST_CLAIM = "the worker died between handing the message over and recording the answer"

Listener = Callable[["Session", int, str], None]
"""Hears ``(session, related_id, status)`` in the transaction that records the outcome."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one try ended; ``logged`` is the log's word where it differs from the status."""

    status: str
    detail: str
    code: int | None = None
    logged: str | None = None


class OutcomeRecorder:
    """Records outcomes; ``listeners``: by a mail's ``related_type``, what hears of its status."""

    def __init__(self, listeners: Mapping[str, Listener] | None = None) -> None:
        self.listeners = dict(listeners or {})

    def record(self, session: Session, mail: Mail, outcome: Outcome, now: datetime) -> None:
        """Put ``outcome`` on ``mail`` and everything that follows from it; the caller commits."""
        mail.status = outcome.status
        mail.lease_token = mail.lease_until = None
        mail.last_error = None if outcome.status == "sent" else outcome.detail[:2000]
        if outcome.status == "sent":
            mail.sent_at = now
        session.add(_log_entry(session, mail, outcome, now))
        if outcome.status == "failed" and outcome.code in NO_SUCH_MAILBOX:
            _suppress(session, mail)
        if outcome.status == "uncertain":
            _tell_admins(session, mail, now)
        listener = self.listeners.get(mail.related_type or "")
        if listener is not None and mail.related_id is not None:
            listener(session, mail.related_id, outcome.status)


def _log_entry(session: Session, mail: Mail, outcome: Outcome, now: datetime) -> EmailLog:
    last = session.scalar(select(func.max(EmailLog.n)).where(EmailLog.mail_id == mail.id))
    return EmailLog(
        mail_id=mail.id,
        tenant_id=mail.tenant_id,
        user_id=mail.user_id,
        to_norm=mail.to_norm,
        n=(last or 0) + 1,
        at=now,
        outcome=outcome.logged or outcome.status,
        code=str(outcome.code) if outcome.code else None,
        detail=outcome.detail[:2000],
        transport="smtp",
    )


def _suppress(session: Session, mail: Mail) -> None:
    known = session.scalar(
        select(MailSuppression.id).where(
            MailSuppression.email_norm == mail.to_norm, MailSuppression.scope == "all"
        )
    )
    if known is None:
        session.add(
            MailSuppression(
                tenant_id=mail.tenant_id,
                email_norm=mail.to_norm,
                reason="hard_bounce",
                scope="all",
                source_mail_id=mail.id,
            )
        )


def _tell_admins(session: Session, mail: Mail, now: datetime) -> None:
    if mail.tenant_id is None:
        return
    notify_admins(
        session,
        mail.tenant_id,
        Notice(
            kind="mail_uncertain",
            severity="warning",
            title="A mail may or may not have arrived",
            body=(
                f"The mail '{mail.subject}' was handed over, but no answer was recorded. "
                "It is not sent again by itself."
            ),
            related_type="mail",
            related_id=mail.id,
            dedupe_key=f"mail-uncertain:{mail.id}",
        ),
        now,
    )
