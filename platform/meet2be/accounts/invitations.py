"""Asking somebody to join an organisation: a link by mail, good once and for 14 days.

Whoever is asked may be known to the platform or not; who asks is told the same. Only the link's
holder, who has proved to read that mailbox, learns which it is. Only a hash of the link is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be.accounts.announcements import INVITED, JOINED, announce
from meet2be.accounts.hashing import hash_of, new_secret
from meet2be.accounts.members import Authority, MemberError, role_words, seats_left
from meet2be.accounts.models import User
from meet2be.accounts.newcomers import make_person
from meet2be.accounts.services import normalise_email
from meet2be.accounts.standing import still_counts
from meet2be.accounts.tokens import TokenRefused
from meet2be.audit.services import Actor, count_since, record
from meet2be.db.columns import new_uid
from meet2be.language import Message
from meet2be.mailings.addresses import one_address
from meet2be.mailings.services import PRIORITY_SECURITY, MailDraft, Sender, post
from meet2be.tenancy.limits import LIMITS, LimitReached, limit_of
from meet2be.tenancy.models import Invitation, Membership, Tenant
from meet2be.tenancy.services import check_active

VALID: Final = timedelta(days=14)
INVITED_AGAIN: Final = "member.invited_again"
MOST_A_DAY: Final = 100
"""Of one organisation: a mail to anybody is something that can be misused."""


class AlreadyMember(MemberError):
    """The address belongs to somebody who works here."""

    def __init__(self) -> None:
        super().__init__(Message("Whoever has this address is a member already"))


class AlreadyInvited(MemberError):
    """The address was asked before and has not answered."""

    def __init__(self) -> None:
        super().__init__(Message("This address is invited already: send that invitation once more"))


class InvitationGone(MemberError):
    """The invitation was accepted or withdrawn meanwhile."""

    def __init__(self) -> None:
        super().__init__(Message("This invitation was accepted or withdrawn meanwhile"))


class TooManyInvitations(MemberError):
    """So many invitations were mailed today that it looks like misuse."""

    def __init__(self) -> None:
        super().__init__(
            Message("%(most)s invitations were mailed today: go on tomorrow", {"most": MOST_A_DAY})
        )


@dataclass(frozen=True, slots=True)
class Host:
    """Who invites, from what address, and where the pages are."""

    by: Authority
    name: str
    sender: Sender
    base_url: str


def open_invitations(session: Session) -> list[Invitation]:
    """Return the invitations nobody has answered, the newest first; at most 200."""
    return list(
        session.scalars(
            select(Invitation)
            .where(Invitation.accepted_at.is_(None), Invitation.withdrawn_at.is_(None))
            .order_by(Invitation.id.desc())
            .limit(200)
        )
    )


def invite(
    session: Session, email: str, role: str, locale: str, host: Host, now: datetime
) -> Invitation:
    """Ask an address to join with a role. The caller commits.

    Raises ``RoleTooHigh``, ``AlreadyMember``, ``AlreadyInvited``, ``TooManyInvitations``,
    ``LimitReached``, ``TenantIsSuspended``, and ``BadAddress`` for what is not one address.
    """
    check_active(session)
    host.by.check(role)
    email = email.strip()
    one_address(email)
    norm = normalise_email(email)
    _take_seat(session)
    _check_pace(session, now)
    if session.scalar(
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(User.email_norm == norm)
    ):
        raise AlreadyMember
    person = host.by.actor.id
    invitation = Invitation(
        uid=new_uid(), email=email, email_norm=norm, role=role, locale=locale,
        invited_by=int(person) if person and person.isdecimal() else None,
        token_hash="", sent_at=now, expires_at=now + VALID,
    )  # fmt: skip
    secret = _renew(invitation, now)
    session.add(invitation)
    try:
        session.flush()
    except IntegrityError as error:
        session.rollback()
        raise AlreadyInvited from error
    record(
        session, host.by.actor, INVITED, "invitation", invitation.uid,
        after={"role": role, "email": email},
    )  # fmt: skip
    announce(session, INVITED, invitation.uid, role=role)
    _mail(session, invitation, secret, host, now)
    return invitation


def resend(session: Session, uid: str, host: Host, now: datetime) -> Invitation:
    """Mail an invitation once more with a new link; the old one ends. The caller commits.

    One that was too late takes a seat again. Raises ``InvitationGone``, ``RoleTooHigh``,
    ``TooManyInvitations``, ``LimitReached``, ``TenantIsSuspended``.
    """
    check_active(session)
    invitation = _open(session, uid)
    host.by.check(invitation.role)
    if invitation.expires_at <= now:
        _take_seat(session)
    _check_pace(session, now)
    secret = _renew(invitation, now)
    record(session, host.by.actor, INVITED_AGAIN, "invitation", uid)
    _mail(session, invitation, secret, host, now)
    return invitation


def withdraw(session: Session, uid: str, by: Authority, now: datetime) -> Invitation:
    """Take an invitation back: its link ends. Raises ``InvitationGone``, ``RoleTooHigh``."""
    invitation = _open(session, uid)
    by.check(invitation.role)
    invitation.withdrawn_at = now
    record(session, by.actor, "member.invitation_withdrawn", "invitation", uid)
    return invitation


def find_by_secret(session: Session, secret: str, now: datetime) -> tuple[Invitation, Tenant]:
    """Return the invitation of a link and who invites; raises ``TokenRefused``.

    For system sessions: whoever opens the link belongs to nobody yet.
    """
    row = session.execute(
        select(Invitation, Tenant)
        .join(Tenant, Tenant.id == Invitation.tenant_id)
        .where(
            Invitation.token_hash == hash_of(secret),
            Invitation.accepted_at.is_(None),
            Invitation.withdrawn_at.is_(None),
            Invitation.expires_at > now,
            Tenant.status == "active",
        )
    ).one_or_none()
    if row is None or not still_counts(session, row[0]):
        raise TokenRefused
    return row[0], row[1]


def accept_as_new(
    session: Session, secret: str, name: str, password: str, locale: str, now: datetime
) -> tuple[User, int]:
    """Make the person with that name and password a member; returns them and the tenant's number.

    The caller commits, and rolls back after an error: the link is used up first, so that of two
    clicks the second finds it so. Raises ``TokenRefused``, ``WeakPassword``, ``BadName``, and
    ``AccountJustMade`` where the address has an account with a password: that one logs in.
    """
    invitation, _tenant = find_by_secret(session, secret, now)
    _claim(session, invitation, now)
    user = make_person(session, invitation.email, name, password, locale, now)
    return user, _join(session, invitation, user)


def accept_as(session: Session, secret: str, user: User, now: datetime) -> int:
    """Make a person who has logged in a member; returns the tenant's number.

    The caller commits. Raises ``TokenRefused`` when the link was mailed to somebody else.
    """
    invitation, _tenant = find_by_secret(session, secret, now)
    if invitation.email_norm != user.email_norm or user.status != "active":
        raise TokenRefused
    _claim(session, invitation, now)
    return _join(session, invitation, user)


def _claim(session: Session, invitation: Invitation, now: datetime) -> None:
    """Use an invitation up; of two at the same time one gets it. Raises ``TokenRefused``."""
    taken = session.execute(
        update(Invitation)
        .where(
            Invitation.id == invitation.id,
            Invitation.accepted_at.is_(None),
            Invitation.withdrawn_at.is_(None),
        )
        .values(accepted_at=now)
        .returning(Invitation.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not taken:
        raise TokenRefused


def _join(session: Session, invitation: Invitation, user: User) -> int:
    """Give somebody the place that a claimed invitation promises; returns the tenant's number."""
    tenant_id = invitation.tenant_id
    invitation.accepted_by = user.id
    session.flush()
    try:
        with session.begin_nested():
            session.add(Membership(tenant_id=tenant_id, user_id=user.id, role=invitation.role))
            session.flush()
    except IntegrityError:
        return tenant_id  # by another way, such as a list: the role they have there stays
    record(
        session, Actor("user", str(user.id)), "member.joined", "user", user.uid,
        after={"role": invitation.role}, reason="accepted an invitation", tenant_id=tenant_id,
    )  # fmt: skip
    announce(session, JOINED, user.uid, tenant_id=tenant_id, role=invitation.role)
    return tenant_id


def _open(session: Session, uid: str) -> Invitation:
    found = session.scalar(select(Invitation).where(Invitation.uid == uid).with_for_update())
    if found is None or found.accepted_at is not None or found.withdrawn_at is not None:
        raise InvitationGone
    return found


def _renew(invitation: Invitation, now: datetime) -> str:
    secret = new_secret()
    invitation.token_hash = hash_of(secret)
    invitation.sent_at, invitation.expires_at = now, now + VALID
    return secret


def _take_seat(session: Session) -> None:
    """Raise ``LimitReached`` when no seat is left; nobody else gets it until the commit."""
    if seats_left(session) < 1:
        raise LimitReached(LIMITS["members"], limit_of(session, "members"))


def _check_pace(session: Session, now: datetime) -> None:
    """Count the mails, not the invitations: each time one is mailed stands in the audit log."""
    if count_since(session, (INVITED, INVITED_AGAIN), now - timedelta(days=1)) >= MOST_A_DAY:
        raise TooManyInvitations


def _mail(session: Session, invitation: Invitation, secret: str, host: Host, now: datetime) -> None:
    tenant = session.scalars(select(Tenant)).one()
    draft = MailDraft(
        tenant_id=tenant.id,
        kind="invitation",
        template="invitation",
        locale=invitation.locale,
        to_addr=invitation.email,
        # Each link is a mail of its own.
        dedupe_key=f"invitation:{invitation.uid}:{new_uid()}",
        context={
            "inviter": host.name,
            "tenant_name": tenant.name,
            "role": role_words(invitation.role).in_language(invitation.locale),
            "link": f"{host.base_url}/invitation/{secret}",
            "days": VALID.days,
        },
        sender=host.sender,
        priority=PRIORITY_SECURITY,
        sensitive=True,
    )
    post(session, draft, now)
