"""Members of organisations, and who is invited."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.accounts.members import Member
from meet2be.accounts.models import User
from meet2be.objects.base import Moment, Told, Uid
from meet2be.tenancy.models import Invitation, Membership

Role = Literal["owner", "admin", "organiser", "viewer"]


class MemberTold(Told):
    """A person of the organisation."""

    uid: Uid
    name: str
    email: str
    role: Role
    since: Moment


class InvitationTold(Told):
    """An invitation and what became of it; one that is open holds until `expires_at`."""

    uid: Uid
    email: str
    role: Role
    status: Literal["open", "accepted", "withdrawn"]
    sent_at: Moment
    expires_at: Moment


def member_of(member: Member) -> MemberTold:
    """Return a member as programs see them."""
    user, membership = member.user, member.membership
    told = {"uid": user.uid, "name": user.name, "email": user.email, "role": membership.role}
    return MemberTold.model_validate({**told, "since": membership.created_at})


def member_told(session: Session, uid: str) -> MemberTold | None:
    """Return a member; None for somebody who is none, or none any more."""
    both = select(Membership, User).join(User, User.id == Membership.user_id)
    row = session.execute(both.where(User.uid == uid)).one_or_none()
    return None if row is None else member_of(Member(*row))


def invitation_told(session: Session, uid: str) -> InvitationTold | None:
    """Return an invitation; None when there is none."""
    found = session.scalar(select(Invitation).where(Invitation.uid == uid))
    return None if found is None else InvitationTold.model_validate(found)
