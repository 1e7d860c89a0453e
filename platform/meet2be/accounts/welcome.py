"""Welcoming the people of an organisation: once each, for ever, with a link made when it leaves.

The mail is written without a text in the commit that made the person a member. Its secret is made
right before it is sent, so that no queue, log or page ever holds it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.accounts.facts import WelcomesWanted
from meet2be.accounts.models import User
from meet2be.accounts.tokens import issue
from meet2be.mailings.delivery import MailDelivery
from meet2be.mailings.errors import BadTemplate
from meet2be.mailings.later import (
    Reader,
    enqueue_unwritten,
    forget_text_tx,
    suppressed_now,
    write_text,
)
from meet2be.mailings.limits import person_key
from meet2be.mailings.models import Mail
from meet2be.mailings.outcomes import Outcome
from meet2be.mailings.services import PRIORITY_NORMAL, Sender, sender_of
from meet2be.tenancy.models import Membership, Tenant

KIND: Final = "welcome"
VALID: Final = timedelta(days=14)
_WHY_NOT: Final = {
    "active": "the account is in use already",
    "disabled": "the account is disabled",
    "erased": "the person was erased",
}


def welcome_many(
    session: Session, tenant_id: int, user_ids: Collection[int], now: datetime
) -> list[int]:
    """Have those welcomed who never were by this organisation; returns the new mails.

    Call it when a person's row is final, in that commit.
    """
    users = session.scalars(select(User).where(User.id.in_(user_ids)).order_by(User.id)).all()
    readers = [
        Reader(user.id, user.email, user.locale, f"welcome:{tenant_id}:{user.id}") for user in users
    ]
    new = set(enqueue_unwritten(session, tenant_id, KIND, readers, now, PRIORITY_NORMAL))
    if new:
        rows = session.execute(
            select(Mail.id, Mail.user_id, Mail.to_norm).where(Mail.id.in_(new)).order_by(Mail.id)
        )
        jobs = tuple(
            (mail_id, person_key(tenant_id, user_id, to_norm)) for mail_id, user_id, to_norm in rows
        )
        facts.note(session, WelcomesWanted(tenant_id, jobs))
    return sorted(new)


def cancel_welcomes(session: Session, user_ids: Collection[int], reason: str) -> list[int]:
    """Cancel the welcomes of these people that have not left; returns whose had left already.

    For an import that is taken back. The caller commits.
    """
    session.execute(
        update(Mail)
        .where(
            Mail.kind == KIND,
            Mail.user_id.in_(user_ids),
            Mail.status.in_(("queued", "limited", "held")),
        )
        .values(status="cancelled", last_error=reason[:500], body_text=None, body_html=None)
        .execution_options(synchronize_session=False)
    )
    gone = select(Mail.user_id).where(
        Mail.kind == KIND,
        Mail.user_id.in_(user_ids),
        Mail.status.in_(("sending", "sent", "uncertain", "bounced", "complained")),
    )
    return sorted(user_id for user_id in session.scalars(gone) if user_id is not None)


def prepare_tx(delivery: MailDelivery, mail_id: int, base_url: str, fallback: Sender) -> bool:
    """Give a welcome mail its text, with a link of its own; False when it is not to be sent."""
    now = delivery.clock.now()
    with delivery.session() as session:
        mail = session.get(Mail, mail_id)
        if mail is None or mail.status not in {"queued", "sending"}:
            return False
        if mail.status == "sending" or mail.body_text is not None:
            return True  # an earlier try came this far
        user = session.get_one(User, mail.user_id)
        problem = _WHY_NOT.get(user.status)
        if problem is None and not _is_member(session, user.id):
            problem = "the person has left the organisation"
        if problem is not None:
            mail.status, mail.last_error = "cancelled", problem
        elif suppressed_now(session, mail, now):
            mail.status, mail.last_error = "suppressed", "the address is suppressed"
        else:
            _write(session, delivery, mail, user, base_url, fallback, now)
        session.commit()
        return mail.status == "queued"


def settle_tx(delivery: MailDelivery, mail_id: int) -> None:
    """Note on the person that they were welcomed, and forget the link."""
    with delivery.session() as session:
        sent = session.scalar(select(Mail.user_id).where(Mail.id == mail_id, Mail.status == "sent"))
        if sent is not None:
            session.execute(
                update(User)
                .where(User.id == sent, User.welcome_sent_at.is_(None))
                .values(welcome_sent_at=delivery.clock.now())
                .execution_options(synchronize_session=False)
            )
            session.commit()
    forget_text_tx(delivery, mail_id)


def _write(
    session: Session,
    delivery: MailDelivery,
    mail: Mail,
    user: User,
    base_url: str,
    fallback: Sender,
    now: datetime,
) -> None:
    tenant = session.scalars(select(Tenant)).one()
    secret = issue(session, user.id, KIND, VALID, now, tenant.id)
    context = {
        "name": user.name,
        "tenant_name": tenant.name,
        "link": f"{base_url}/welcome/{secret}",
        "days": VALID.days,
    }
    try:
        write_text(session, mail, context, sender_of(tenant, fallback))
    except BadTemplate as error:
        delivery.recorder.record(session, mail, Outcome("failed", str(error)), now)


def _is_member(session: Session, user_id: int) -> bool:
    found = select(Membership.id).where(Membership.user_id == user_id)
    return session.scalar(found) is not None
