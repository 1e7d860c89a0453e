"""Who works for an organisation, in which role: nobody gives more than they have.

In sessions of the tenant; callers commit. A person who belongs to it no more is out at once: every
browser of theirs that looks at it is logged out in the same commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from meet2be.accounts.announcements import REMOVED, ROLE_CHANGED, announce
from meet2be.accounts.models import User, WebSession
from meet2be.accounts.standing import withdraw_around
from meet2be.audit.services import Actor, record
from meet2be.db import clock_of
from meet2be.db.keyset import Order, Page, Slice, fetch_page
from meet2be.errors import Meet2BeError
from meet2be.language import N_, Message
from meet2be.mailings.addresses import normal_form
from meet2be.notifications.services import Notice, notify_admins
from meet2be.tenancy.limits import hold_limits, limit_of
from meet2be.tenancy.models import ROLES, Invitation, Membership

ROLE_WORDS: Final = {
    "owner": N_("Owner"),
    "admin": N_("Administrator"),
    "organiser": N_("Organiser"),
    "viewer": N_("Viewer"),
}
OLDEST_FIRST: Final = Order((Membership.id,))


class MemberError(Meet2BeError):
    """Something about members that is refused; says why and what to do."""


class UnknownMember(MemberError):
    """Nobody of that name works for the organisation."""

    def __init__(self) -> None:
        super().__init__(Message("This person is no member of the organisation"))


class RoleTooHigh(MemberError):
    """Somebody wanted to give, change or remove more than they have themselves."""

    def __init__(self, role: str) -> None:
        self.role = role
        super().__init__(
            Message(
                "The role “%(role)s” is above your own: ask somebody who has it",
                {"role": role_words(role)},
            )
        )


class LastOwner(MemberError):
    """An organisation without an owner could never get one again."""

    def __init__(self) -> None:
        super().__init__(
            Message("This is the last owner: make somebody else an owner before you change this")
        )


@dataclass(frozen=True, slots=True)
class Authority:
    """Who changes members, and the highest role they may give; operators may give any."""

    actor: Actor
    role: str

    def check(self, *roles: str) -> None:
        """Raise ``RoleTooHigh`` for the first role above their own."""
        for role in roles:
            if ROLES.index(role) < ROLES.index(self.role):
                raise RoleTooHigh(role)


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the organisation."""

    membership: Membership
    user: User


def role_words(role: str) -> Message:
    """Return how a role is called."""
    return Message(ROLE_WORDS.get(role, role))


def members_page(session: Session, part: Slice, words: str = "") -> Page:
    """Return members as `Member`, in the order in which they came; ``words`` find names."""
    wanted = select(Membership, User).join(User, User.id == Membership.user_id)
    if words:
        wanted = wanted.where(
            User.name.icontains(words, autoescape=True)
            | User.email_norm.startswith(normal_form(words), autoescape=True)
        )
    page = fetch_page(session, wanted, OLDEST_FIRST, part, whole_rows=True)
    rows = [Member(*row) for row in page.rows]
    return Page(rows, page.has_earlier, page.has_later)


def position_of(session: Session, user_uid: str) -> tuple[int] | None:
    """Return where a member stands in the list, None for anybody else."""
    found = select(Membership.id).join(User, User.id == Membership.user_id)
    number = session.scalar(found.where(User.uid == user_uid))
    return None if number is None else (number,)


def find_member(session: Session, user_uid: str) -> Member:
    """Return a member, the row locked; raises ``UnknownMember``."""
    row = session.execute(
        select(Membership, User)
        .join(User, User.id == Membership.user_id)
        .where(User.uid == user_uid)
        .with_for_update(of=Membership)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise UnknownMember
    return Member(row[0], row[1])


def seats_taken(session: Session) -> int:
    """Return how many members there are, those included who were invited and may still come."""
    now = clock_of(session).now()
    members = session.scalar(select(func.count(Membership.id))) or 0
    waiting = select(func.count(Invitation.id)).where(
        Invitation.accepted_at.is_(None),
        Invitation.withdrawn_at.is_(None),
        Invitation.expires_at > now,
    )
    return members + (session.scalar(waiting) or 0)


def seats_left(session: Session) -> int:
    """Return how many more members there may be; below zero where the limit was lowered since.

    Until the commit nobody else takes one: seats are given one after the other.
    """
    hold_limits(session)
    return limit_of(session, "members") - seats_taken(session)


def change_role(session: Session, user_uid: str, role: str, by: Authority) -> Member:
    """Give a member another role and return who it is.

    Open invitations to them, and by them to what they may not give any more, are withdrawn. Raises
    ``UnknownMember``, ``RoleTooHigh``, ``LastOwner``.
    """
    owners = lock_owners(session)
    found = find_member(session, user_uid)
    before = found.membership.role
    by.check(before, role)
    if before == role:
        return found
    _keep_an_owner(found.membership, owners)
    found.membership.role = role
    withdraw_around(session, found.user, role, by.actor, clock_of(session).now())
    announce(session, ROLE_CHANGED, found.user.uid, role=role, before=before)
    record(
        session, by.actor, "member.role_changed", "user", found.user.uid,
        before={"role": before}, after={"role": role},
    )  # fmt: skip
    _tell(session, found, Message("%(name)s has another role", {"name": found.user.name}), role)
    return found


def remove(session: Session, user_uid: str, by: Authority) -> User:
    """Take a member's place away and log them out here; returns who it was.

    Open invitations to and by them are withdrawn. Raises ``UnknownMember``, ``RoleTooHigh``,
    ``LastOwner``.
    """
    owners = lock_owners(session)
    found = find_member(session, user_uid)
    by.check(found.membership.role)
    _keep_an_owner(found.membership, owners)
    now, tenant_id = clock_of(session).now(), found.membership.tenant_id
    record(
        session, by.actor, "member.removed", "user", found.user.uid,
        before={"role": found.membership.role, "name": found.user.name},
    )  # fmt: skip
    _tell(session, found, Message("%(name)s has left", {"name": found.user.name}), None)
    announce(session, REMOVED, found.user.uid, role=found.membership.role)
    session.delete(found.membership)
    withdraw_around(session, found.user, None, by.actor, now)
    end_sessions(session, found.user.id, now, tenant_id=tenant_id)
    return found.user


def end_sessions(
    session: Session,
    user_id: int,
    now: datetime,
    *,
    tenant_id: int | None = None,
    but: int | None = None,
) -> int:
    """Log a person out of all browsers (of one organisation; all ``but`` one); returns how many."""
    theirs = [WebSession.user_id == user_id, WebSession.revoked_at.is_(None)]
    if tenant_id is not None:
        theirs.append(WebSession.tenant_id == tenant_id)
    if but is not None:
        theirs.append(WebSession.id != but)
    ended = session.execute(
        update(WebSession)
        .where(*theirs)
        .values(revoked_at=now)
        .returning(WebSession.id)
        .execution_options(synchronize_session=False)
    ).all()
    return len(ended)


def lock_owners(session: Session) -> set[int]:
    """Lock the owners' places and return their numbers.

    Always first and always in this order: two owners who remove each other wait for one another
    instead of for ever, and the second sees what the first did.
    """
    owners = select(Membership.id).where(Membership.role == "owner").order_by(Membership.id)
    return set(session.scalars(owners.with_for_update()))


def _keep_an_owner(leaving: Membership, owners: set[int]) -> None:
    """Raise ``LastOwner`` for the only one; ``owners`` are locked."""
    if leaving.role == "owner" and not owners - {leaving.id}:
        raise LastOwner


def _tell(session: Session, found: Member, title: Message, role: str | None) -> None:
    now, tenant_id = clock_of(session).now(), found.membership.tenant_id
    body = Message("Nothing else was changed.")
    if role is not None:
        body = Message("The role is now: %(role)s.", {"role": role_words(role)})
    key = f"member.changed:{found.user.uid}:{now.isoformat()}"
    notice = Notice("member.changed", "info", title, body, key, link="/settings/members")
    notify_admins(session, tenant_id, notice, now)


def people_in(session: Session, most: int = 200) -> list[tuple[int, str]]:
    """Return the numbers and names of the tenant's first members, by name, for a choice."""
    found = session.execute(
        select(User.id, User.name)
        .join(Membership, Membership.user_id == User.id)
        .order_by(User.name, User.id)
        .limit(most)
    )
    return [(number, name) for number, name in found]
