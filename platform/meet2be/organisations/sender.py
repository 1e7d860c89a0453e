"""From which address an organisation's mail comes: its own, once that was confirmed by a code.

Until then, and after it was taken back, mail comes from the platform in the organisation's name.
In the tenant's own session; the caller commits unless a function says otherwise.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meet2be.audit.services import Actor, count_since, record
from meet2be.db.columns import new_uid
from meet2be.errors import Meet2BeError
from meet2be.language import Message
from meet2be.mailings.addresses import one_address
from meet2be.mailings.services import PRIORITY_SECURITY, MailDraft, Sender, post
from meet2be.plain_text import one_line
from meet2be.tenancy.models import SenderCheck, Tenant

DIGITS: Final = 8
TRIES: Final = 5
VALID: Final = timedelta(hours=1)
ASKED: Final = "sender.asked"
PAUSE: Final = timedelta(minutes=2)
MOST_A_DAY: Final = 20
"""Codes go to an address that may be anybody's: a pause between two, and so many in all."""


class SenderRefused(Meet2BeError):
    """Something about the sender that is refused; says why and what to do."""


def waiting_check(session: Session) -> SenderCheck | None:
    """Return the address that waits for its code, None if there is none."""
    return session.scalars(select(SenderCheck)).one_or_none()


def ask(
    session: Session, name: str, email: str, actor: Actor, now: datetime, platform: Sender
) -> SenderCheck:
    """Mail a code to the address that is to be the sender.

    Raises ``SenderRefused`` and ``BadAddress``.
    """
    name, email = one_line(name)[:200], one_address(email)
    if not name:
        raise SenderRefused(Message("A sender needs a name that readers see"))
    # Locked: two that ask at the same time are one after the other.
    tenant = session.scalars(select(Tenant).with_for_update()).one()
    _check_pace(session, now)
    check = waiting_check(session)
    if check is None:
        check = SenderCheck(email=email, name=name, code_hash="", expires_at=now)
        session.add(check)
    code = "".join(secrets.choice("0123456789") for _ in range(DIGITS))
    check.email, check.name, check.tries = email, name, 0
    check.code_hash, check.expires_at = _hashed(tenant, email, code), now + VALID
    check.asked_by = int(actor.id) if actor.id and actor.id.isdecimal() else None
    record(session, actor, ASKED, "tenant", tenant.uid, after={"email": email})
    draft = MailDraft(
        tenant_id=tenant.id,
        kind="sender_check",
        template="sender_check",
        locale=tenant.locale,
        to_addr=email,
        dedupe_key=f"sender_check:{new_uid()}",
        context={
            "tenant_name": tenant.name,
            "address": email,
            "code": code,
            "minutes": int(VALID.total_seconds() // 60),
        },
        sender=platform,
        priority=PRIORITY_SECURITY,
        sensitive=True,
    )
    post(session, draft, now)
    return check


def confirm(session: Session, code: str, actor: Actor, now: datetime) -> str:
    """Make the address the sender if the code is right, and return it; commits, also a wrong try.

    Raises ``SenderRefused``.
    """
    counted = session.execute(
        update(SenderCheck)
        .where(SenderCheck.expires_at > now, SenderCheck.tries < TRIES)
        .values(tries=SenderCheck.tries + 1)
        .returning(SenderCheck.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.commit()
    if not counted:
        raise SenderRefused(Message("No code is good any more: have a new one mailed"))
    tenant = session.scalars(select(Tenant).with_for_update()).one()
    check = session.scalars(select(SenderCheck).execution_options(populate_existing=True)).one()
    typed = _hashed(tenant, check.email, "".join(code.split()))
    if not hmac.compare_digest(typed, check.code_hash):
        left = TRIES - check.tries
        session.rollback()
        raise SenderRefused(
            Message("This is not the code that was mailed. Tries left: %(left)s", {"left": left})
        )
    before = {"email": tenant.sender_email}
    tenant.sender_name, tenant.sender_email = check.name, check.email
    tenant.sender_verified_at = now
    session.delete(check)
    record(
        session, actor, "sender.verified", "tenant", tenant.uid,
        before=before, after={"email": tenant.sender_email},
    )  # fmt: skip
    session.commit()
    return str(tenant.sender_email)


def take_back(session: Session, actor: Actor) -> bool:
    """Let mail come from the platform again; False when it does."""
    tenant = session.scalars(select(Tenant).with_for_update()).one()
    check = waiting_check(session)
    if check is not None:
        session.delete(check)
    if tenant.sender_verified_at is None and check is None:
        return False
    record(
        session, actor, "sender.removed", "tenant", tenant.uid,
        before={"email": tenant.sender_email},
    )  # fmt: skip
    tenant.sender_name = tenant.sender_email = tenant.sender_verified_at = None
    return True


def _check_pace(session: Session, now: datetime) -> None:
    """Raise ``SenderRefused`` for too many codes; the audit log says when each was mailed."""
    if count_since(session, (ASKED,), now - PAUSE):
        raise SenderRefused(
            Message("A code was mailed just now: wait two minutes before you ask for another")
        )
    if count_since(session, (ASKED,), now - timedelta(days=1)) >= MOST_A_DAY:
        raise SenderRefused(
            Message("%(most)s codes were mailed today: go on tomorrow", {"most": MOST_A_DAY})
        )


def _hashed(tenant: Tenant, email: str, code: str) -> str:
    return hashlib.sha256(f"{tenant.uid}:{email}:{code}".encode()).hexdigest()
