"""What a person does with one mail of the outbox: withdraw it, or send it once more."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from meet2be.audit.services import Actor, record
from meet2be.language import Message
from meet2be.mailings.attachments import Attachment
from meet2be.mailings.errors import BodyGone, MailNotFound, MailNotInState
from meet2be.mailings.models import Mail
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.rendering import Rendered
from meet2be.mailings.services import MailDraft, Sender, Written, post

CANCELLABLE: Final = ("queued", "limited", "held")
RESENDABLE: Final = ("sent", "failed", "bounced", "cancelled")
WITHDRAWN: Final = "withdrawn by a person"


def cancel(
    session: Session, recorder: OutcomeRecorder, uid: str, actor: Actor, now: datetime
) -> Mail:
    """Withdraw a mail that has not left. The caller commits.

    Raises ``MailNotFound`` and ``MailNotInState``; one that is just being handed over is too late.
    """
    mail = _locked(session, uid)
    if mail.status not in CANCELLABLE:
        raise MailNotInState(uid, mail.status, Message("withdrawn"))
    before = mail.status
    if mail.sensitive:
        mail.body_text = mail.body_html = None  # nobody may send it once more
    mail.status, mail.last_error, mail.next_at = "cancelled", WITHDRAWN, None
    listener = recorder.listeners.get(mail.related_type or "")
    if listener is not None and mail.related_id is not None:
        session.flush()
        listener(session.connection(), mail.tenant_id, mail.related_id, "failed", now)
    record(session, actor, "mail.cancelled", "mail", mail.uid, before={"status": before})
    return mail


def resend(session: Session, uid: str, actor: Actor, now: datetime) -> Written:
    """Send a copy of a mail, as a mail of its own that counts in the limit. The caller commits.

    Raises ``MailNotFound``, ``MailNotInState``, and ``BodyGone`` where there is no text (any more)
    or it holds a secret.
    """
    mail = _locked(session, uid)
    if mail.status not in RESENDABLE:
        raise MailNotInState(uid, mail.status, Message("sent once more"))
    if mail.sensitive or not mail.body_text or not mail.from_addr:
        raise BodyGone(uid)
    earlier = select(func.count()).select_from(Mail)
    number = session.scalar(earlier.where(Mail.dedupe_key.startswith(f"resend:{mail.uid}:"))) or 0
    name, _, address = mail.from_addr.rpartition("<")
    draft = MailDraft(
        tenant_id=mail.tenant_id,
        kind=mail.kind,
        template=mail.template_key or mail.kind,
        locale=mail.locale,
        to_addr=mail.to_addr,
        dedupe_key=f"resend:{mail.uid}:{number + 1}",
        context={},
        sender=Sender(name.strip().strip('"'), address.rstrip(">"), mail.reply_to),
        user_id=mail.user_id,
        priority=mail.priority,
        headers=mail.headers,
        texts=Rendered(mail.subject or "", mail.body_text, mail.body_html or ""),
        attachments=tuple(Attachment(**row) for row in mail.attachments),
    )
    written = post(session, draft, now)
    record(session, actor, "mail.resent", "mail", mail.uid, after={"copy": written.dedupe_key})
    return written


def _locked(session: Session, uid: str) -> Mail:
    mail = session.scalar(select(Mail).where(Mail.uid == uid).with_for_update())
    if mail is None:
        raise MailNotFound(uid)
    return mail
