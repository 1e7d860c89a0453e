"""What a person decides about a mail nobody knows the fate of."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.audit.services import Actor, record
from meet2be.errors import Meet2BeError
from meet2be.language import Message
from meet2be.mailings.errors import BodyGone
from meet2be.mailings.later import WRITTEN_LATE
from meet2be.mailings.models import Mail
from meet2be.mailings.outcomes import Outcome, OutcomeRecorder
from meet2be.mailings.services import note_posted

Decision = Literal["sent", "again"]
DECISIONS: tuple[Decision, ...] = ("sent", "again")


class UnknownMail(Meet2BeError):
    """No mail of this tenant has that name."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        super().__init__(
            Message("There is no mail '%(uid)s' here. Open it from the list of mails", {"uid": uid})
        )


class MailIsDecided(Meet2BeError):
    """There is nothing to decide about the mail (any more)."""

    def __init__(self, uid: str, status: str) -> None:
        self.uid, self.status = uid, status
        super().__init__(
            Message(
                "Mail '%(uid)s' is '%(status)s', not uncertain, so there is nothing to decide."
                " Reload its page",
                {"uid": uid, "status": Message(status)},
            )
        )


class ReasonNeeded(Meet2BeError):
    """A decision was made without saying why."""

    def __init__(self) -> None:
        super().__init__(Message("Say how you know: the reason goes into the audit log"))


def decide_uncertain(
    session: Session,
    recorder: OutcomeRecorder,
    uid: str,
    decision: Decision,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Mail:
    """Mark an uncertain mail as sent, or queue it once more (it may then arrive twice).

    The caller commits. Raises ``ReasonNeeded``, ``UnknownMail`` or ``MailIsDecided``, and
    ``BodyGone`` where no text is left that could be sent again.
    """
    if not reason.strip():
        raise ReasonNeeded
    mail = session.scalar(select(Mail).where(Mail.uid == uid).with_for_update())
    if mail is None:
        raise UnknownMail(uid)
    if mail.status != "uncertain":
        raise MailIsDecided(uid, mail.status)
    if decision == "again" and not mail.body_text and mail.kind not in WRITTEN_LATE:
        raise BodyGone(uid)
    status, logged = ("sent", "sent") if decision == "sent" else ("queued", "deferred")
    words = f"decided by a person: {reason.strip()}"
    recorder.record(session, mail, Outcome(status, words, logged=logged), now)
    record(
        session,
        actor,
        f"mail.decided_{decision}",
        "mail",
        mail.uid,
        before={"status": "uncertain"},
        after={"status": status},
        reason=reason.strip()[:2000],
    )
    if decision == "again":
        note_posted(session, mail.id, mail.tenant_id, mail.user_id, mail.to_norm, mail.kind)
    return mail
