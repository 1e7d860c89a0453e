"""Suspending an organisation, and lifting that: what was held back goes on by itself.

While it lasts: pages and API change nothing, cancel runs pause (refunds that were sent are followed
to their end), imports stop, exports that were asked for wait, further ones are refused, webhooks
wait, mail is held except refunds and security. All in sessions of the tenant itself; the caller
commits.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.accounts.models import User
from meet2be.audit.services import Actor, record
from meet2be.cancellations.models import CancelRun
from meet2be.cancellations.services import resume
from meet2be.errors import Meet2BeError
from meet2be.exports.services import resume_held
from meet2be.imports.resuming import resume_suspended
from meet2be.language import Message
from meet2be.mailings.courier import release_held
from meet2be.mailings.services import PRIORITY_SECURITY, MailDraft, Sender, post
from meet2be.notifications.services import ADMIN_ROLES, Notice, notify_admins
from meet2be.plain_text import one_line
from meet2be.tenancy.models import Membership, Tenant

LONGEST_REASON = 500


class SuspensionReasonMissing(Meet2BeError):
    """Nobody is suspended without being told why."""

    def __init__(self) -> None:
        super().__init__(Message("Say why: the organisation's people are shown the reason"))


def suspend(
    session: Session, reason: str, actor: Actor, now: datetime, sender: Sender, base_url: str
) -> bool:
    """Suspend the session's tenant and tell its admins; False when it is suspended already.

    Raises ``SuspensionReasonMissing``.
    """
    reason = one_line(reason)[:LONGEST_REASON]
    if not reason:
        raise SuspensionReasonMissing
    tenant = session.scalars(select(Tenant).with_for_update()).one()
    if tenant.status == "suspended":
        return False
    before, tenant.status = tenant.status, "suspended"
    tenant.suspended_at, tenant.suspended_reason = now, reason
    record(
        session, actor, "tenant.suspended", "tenant", tenant.uid,
        before={"status": before}, after={"status": "suspended"}, reason=reason,
    )  # fmt: skip
    notice = Notice(
        kind="tenant.suspended",
        severity="error",
        title=Message("Your organisation was suspended"),
        body=Message("Nothing can be changed until this is lifted. %(reason)s", {"reason": reason}),
        dedupe_key=f"tenant.suspended:{tenant.uid}:{now.isoformat()}",
    )
    notify_admins(session, tenant.id, notice, now)
    _mail_admins(session, tenant, now, sender, base_url)
    return True


def lift(session: Session, reason: str, actor: Actor, now: datetime) -> bool:
    """Let the session's tenant work again and set going what waited; False when it does."""
    tenant = session.scalars(select(Tenant).with_for_update()).one()
    if tenant.status != "suspended":
        return False
    tenant.status, tenant.suspended_at, tenant.suspended_reason = "active", None, None
    session.flush()
    waited = {
        "cancel_runs": _resume_runs(session, actor),
        "imports": resume_suspended(session, actor),
        "exports": resume_held(session),
        "mails": release_held(session, tenant),
    }
    record(
        session, actor, "tenant.resumed", "tenant", tenant.uid,
        before={"status": "suspended"}, after={"status": "active", **waited},
        reason=one_line(reason)[:LONGEST_REASON] or None,
    )  # fmt: skip
    notice = Notice(
        kind="tenant.resumed",
        severity="success",
        title=Message("Your organisation can work again"),
        body=Message("The suspension was lifted. What had stopped goes on by itself."),
        dedupe_key=f"tenant.resumed:{tenant.uid}:{now.isoformat()}",
    )
    notify_admins(session, tenant.id, notice, now)
    return True


def _resume_runs(session: Session, actor: Actor) -> int:
    stopped = session.scalars(
        select(CancelRun.uid).where(
            CancelRun.state == "paused", CancelRun.pause_code == "tenant_suspended"
        )
    ).all()
    for uid in stopped:
        resume(session, uid, actor)
    return len(stopped)


def _mail_admins(
    session: Session, tenant: Tenant, now: datetime, sender: Sender, base_url: str
) -> None:
    """Tell the admins by mail; from the platform, in whose name this happens."""
    admins = session.scalars(
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.role.in_(ADMIN_ROLES), User.status == "active")
        .order_by(User.id)
    ).all()
    for person in admins:
        draft = MailDraft(
            tenant_id=tenant.id,
            kind="tenant_suspended",
            template="tenant_suspended",
            locale=person.locale,
            to_addr=person.email,
            dedupe_key=f"tenant-suspended:{tenant.id}:{person.id}:{now.isoformat()}",
            context={
                "name": person.name,
                "tenant_name": tenant.name,
                "reason": tenant.suspended_reason or "",
                "link": base_url,
            },
            sender=sender,
            user_id=person.id,
            priority=PRIORITY_SECURITY,
        )
        post(session, draft, now)
