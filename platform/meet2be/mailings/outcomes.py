"""Writing down how a try to send a mail ended, and telling who must hear of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from meet2be.language import Message
from meet2be.mailings import statements as sql
from meet2be.mailings.announcements import announce
from meet2be.mailings.models import Mail
from meet2be.mailings.suppressions import suppress
from meet2be.notifications.services import Notice, notify_admins, renew_for_admins

NO_SUCH_MAILBOX = frozenset({550, 551, 553})
LOST_CLAIM = "the worker died between handing the message over and recording the answer"
LONGEST_DETAIL = 2000


class Listener(Protocol):
    """Hears of a mail's new status in the transaction that records it."""

    def __call__(
        self,
        connection: Connection,
        tenant_id: int | None,
        related_id: int,
        status: str,
        now: datetime,
    ) -> None:
        """Do what follows from it for the row ``related_id``."""  # fmt: skip


class Together(Protocol):
    """Makes one notice of all uncertain mails of a kind that were written for the same cause."""

    def __call__(self, connection: Connection, tenant_id: int, related_id: int) -> Notice | None:
        """Return it; None where the row ``related_id`` has no such cause."""  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one try ended; ``logged`` is the log's word where it differs from the status.

    ``claim`` is the token under which the mail was claimed for this try; without one the outcome
    is of a mail that still is as it was read.
    """

    status: str
    detail: str
    code: int | None = None
    logged: str | None = None
    provider_id: str | None = None
    claim: str | None = None


class OutcomeRecorder:
    """Records outcomes; ``listeners``: by a mail's ``related_type``, what hears of its status.

    ``together``: likewise, what makes one notice of many uncertain mails.
    """

    def __init__(
        self,
        listeners: Mapping[str, Listener] | None = None,
        transport: str = "smtp",
        together: Mapping[str, Together] | None = None,
    ) -> None:
        self.listeners, self.together = dict(listeners or {}), dict(together or {})
        self.transport = transport

    def record(self, session: Session, mail: Any, outcome: Outcome, now: datetime) -> bool:
        """Put ``outcome`` on ``mail`` (a ``Mail`` or a row of it) and all that follows from it.

        False, and nothing is written, when somebody else has taken or settled the mail meanwhile.
        The caller commits.
        """
        session.flush()
        is_written = self.write(session.connection(), mail, outcome, now)
        if isinstance(mail, Mail):
            session.refresh(mail)
        if not is_written:
            return False
        if _is_no_such_mailbox(outcome):
            suppress(
                session,
                mail.tenant_id,
                mail.to_norm,
                "hard_bounce",
                source_mail_id=mail.id,
                now=now,
            )
        if outcome.status == "failed":
            announce(session, mail, "failed", now, code=str(outcome.code or ""))
        if outcome.status == "uncertain":
            self._tell_of_uncertain(session, mail, now)
        return True

    def _tell_of_uncertain(self, session: Session, mail: Any, now: datetime) -> None:
        together = self.together.get(mail.related_type or "")
        notice = None
        if together and mail.tenant_id is not None and mail.related_id is not None:
            notice = together(session.connection(), mail.tenant_id, mail.related_id)
        if notice is None:
            _tell_admins(session, mail, now)
        else:
            renew_for_admins(session, mail.tenant_id, notice, now)

    def write(self, connection: Connection, mail: Any, outcome: Outcome, now: datetime) -> bool:
        """Do so for an outcome that does not go far, on a plain connection."""
        detail = outcome.detail[:LONGEST_DETAIL]
        is_sent = outcome.status == "sent"
        values = {
            "mail": mail.id,
            "mail_tenant": mail.tenant_id,
            "was": mail.status if outcome.claim is None else "sending",
            "holder": mail.lease_token if outcome.claim is None else outcome.claim,
            "new_status": outcome.status,
            "error": None if is_sent else detail,
            "sent": now if is_sent else None,
            "now": now,
            "user": mail.user_id,
            "to": mail.to_norm,
            "logged": outcome.logged or outcome.status,
            "code": str(outcome.code) if outcome.code else None,
            "detail": detail,
            "transport": self.transport,
            "provider_id": outcome.provider_id,
        }
        if not sql.SETTLE_MAIL.run(connection, values):
            return False
        sql.LOG_ATTEMPT.run(connection, values)
        listener = self.listeners.get(mail.related_type or "")
        if listener is not None and mail.related_id is not None:
            listener(connection, mail.tenant_id, mail.related_id, outcome.status, now)
        return True


def goes_far(outcome: Outcome) -> bool:
    """Tell whether an outcome has effects beyond the mail and what it is about."""
    return outcome.status in {"uncertain", "failed"}


def _is_no_such_mailbox(outcome: Outcome) -> bool:
    return outcome.status == "failed" and outcome.code in NO_SUCH_MAILBOX


def _tell_admins(session: Session, mail: Any, now: datetime) -> None:
    if mail.tenant_id is None:
        return
    notify_admins(
        session,
        mail.tenant_id,
        Notice(
            kind="mail_uncertain",
            severity="warning",
            title=Message("A mail may or may not have arrived"),
            body=Message(
                "The mail '%(subject)s' was handed over, but no answer was recorded. "
                "It is not sent again by itself.",
                {"subject": mail.subject},
            ),
            link=f"/mail/{mail.uid}",
            related_type="mail",
            related_id=mail.id,
            dedupe_key=f"mail-uncertain:{mail.id}",
        ),
        now,
    )
