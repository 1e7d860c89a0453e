"""Which open invitations still count when somebody leaves, or has another role than before.

Nobody may leave a door behind: not one to themselves, nor one for others that they could not open
any more. They are withdrawn in the commit that changes the person, and asked again when a link is
opened, because a list of people that is imported changes roles too.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from meet2be.accounts.models import User
from meet2be.audit.services import Actor, record
from meet2be.tenancy.models import ROLES, Invitation, Membership


def withdraw_around(
    session: Session, user: User, role: str | None, actor: Actor, now: datetime
) -> int:
    """Withdraw the open invitations to a person, and those they may not give; returns how many.

    ``role`` is the one they have from now on, None for none. In the tenant's session; the caller
    commits.
    """
    around = session.scalars(
        select(Invitation)
        .where(
            Invitation.accepted_at.is_(None),
            Invitation.withdrawn_at.is_(None),
            or_(Invitation.email_norm == user.email_norm, Invitation.invited_by == user.id),
        )
        .order_by(Invitation.id)
        .with_for_update()
    ).all()
    gone = [
        each
        for each in around
        if each.email_norm == user.email_norm or not _may_give(role, each.role)
    ]
    for each in gone:
        each.withdrawn_at = now
        record(
            session, actor, "member.invitation_withdrawn", "invitation", each.uid,
            reason="the person was removed" if role is None else "the person has another role",
        )  # fmt: skip
    return len(gone)


def still_counts(session: Session, invitation: Invitation) -> bool:
    """Tell whether whoever invited could do so today; operators can. For system sessions."""
    if invitation.invited_by is None:
        return True
    inviter = session.execute(
        select(User.is_operator, Membership.role)
        .outerjoin(
            Membership,
            (Membership.user_id == User.id) & (Membership.tenant_id == invitation.tenant_id),
        )
        .where(User.id == invitation.invited_by, User.status == "active")
    ).one_or_none()
    return inviter is not None and (inviter[0] or _may_give(inviter[1], invitation.role))


def _may_give(own: str | None, role: str) -> bool:
    """Tell whether a role suffices to invite to another: administrators invite."""
    return own in {"owner", "admin"} and ROLES.index(role) >= ROLES.index(own)
