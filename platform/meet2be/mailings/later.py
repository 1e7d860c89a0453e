"""Mails whose text is made when they leave: it bears a secret that nothing else may hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import formataddr
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from meet2be.db.columns import new_uid
from meet2be.mailings import statements as sql
from meet2be.mailings.choosing import own_texts_for
from meet2be.mailings.delivery import MailDelivery
from meet2be.mailings.kinds import kind_of
from meet2be.mailings.models import Mail
from meet2be.mailings.own_texts import fill_in
from meet2be.mailings.rendering import render
from meet2be.mailings.services import AT_LEAST_ONCE, AT_MOST_ONCE, Sender, normalise

WRITTEN_LATE: Final = frozenset({"welcome"})
"""Kinds of such mails; each has a job of its own that writes the text."""
_OVER = ("held", "sent", "failed", "uncertain", "cancelled", "suppressed", "bounced", "complained")


@dataclass(frozen=True, slots=True)
class Reader:
    """To whom a mail goes; ``dedupe_key`` names its cause, once for ever."""

    user_id: int
    email: str
    locale: str
    dedupe_key: str


def enqueue_unwritten(
    session: Session,
    tenant_id: int,
    kind: str,
    readers: Sequence[Reader],
    now: datetime,
    priority: int,
) -> list[int]:
    """Put mails without a text into the outbox; returns those that are new. The caller commits."""
    rows = [_row(tenant_id, kind, reader, now, priority) for reader in readers]
    if not rows:
        return []
    session.flush()
    connection = session.connection()
    insert = sql.INSERT_UNSEEN[connection.dialect.name]
    return [row.id for row in connection.execute(insert, rows)]


def write_text(session: Session, mail: Mail, context: dict[str, Any], sender: Sender) -> None:
    """Give a mail its text and sender; raises ``BadTemplate`` and ``UnknownTemplate``."""
    key = mail.template_key or mail.kind
    chosen = own_texts_for(session.connection(), mail.tenant_id, {key}).best(key, None, mail.locale)
    if chosen is None:
        texts, version = render(key, mail.locale, context), 0
    else:
        texts, version = fill_in(chosen.text, context, chosen.locale), chosen.version
    mail.subject, mail.body_text, mail.body_html = texts.subject, texts.text, texts.html
    mail.template_version = version
    mail.from_addr = formataddr((sender.name, sender.address))
    mail.reply_to = sender.reply_to
    mail.message_id = mail.message_id or f"<{mail.uid}@{sender.domain}>"


def suppressed_now(session: Session, mail: Mail, now: datetime) -> bool:
    """Tell whether nothing may be sent to the mail's address (any more)."""
    values = {"tenant": mail.tenant_id, "addresses": [mail.to_norm], "now": now}
    return session.connection().execute(sql.SUPPRESSED, values).first() is not None


def forget_text_tx(delivery: MailDelivery, mail_id: int) -> None:
    """Erase the text of a mail that has left or never will, or is held: it bears a secret.

    One that is held gets another when it leaves.
    """
    with delivery.session() as session:
        session.execute(
            update(Mail)
            .where(Mail.id == mail_id, Mail.status.in_(_OVER))
            .values(body_text=None, body_html=None)
            .execution_options(synchronize_session=False)
        )
        session.commit()


def _row(tenant_id: int, kind: str, reader: Reader, now: datetime, priority: int) -> dict[str, Any]:
    return {
        "uid": new_uid(),
        "tenant_id": tenant_id,
        "user_id": reader.user_id,
        "kind": kind,
        "template_key": kind,
        "locale": reader.locale,
        "to_addr": reader.email,
        "to_norm": normalise(reader.email),
        "headers": {},
        "sensitive": True,
        "priority": priority,
        "delivery": AT_MOST_ONCE if kind_of(kind).is_at_most_once else AT_LEAST_ONCE,
        "dedupe_key": reader.dedupe_key,
        "status": "queued",
        "queued_at": now,
    }
