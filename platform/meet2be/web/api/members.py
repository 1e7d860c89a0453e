"""Who works for the organisation: members and their roles, and who is invited."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import select

from meet2be.accounts import invitations
from meet2be.accounts import members as verbs
from meet2be.accounts.members import Authority
from meet2be.accounts.models import User
from meet2be.accounts.own import locale_for
from meet2be.mailings.services import sender_of
from meet2be.objects.base import Told
from meet2be.objects.members import InvitationTold, MemberTold, Role, member_of
from meet2be.organisations import leaving
from meet2be.tenancy.models import Invitation, Tenant
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import Given, ListQuery, Page, Text


class MemberQuery(ListQuery):
    """Which members; `q` is a part of a name, or how an address begins."""

    q: Annotated[str, Field(max_length=100)] = ""


class RoleWish(Given):
    """The role that a member gets; nobody gives more than they have."""

    role: Role


class InvitationWish(Given):
    """Who is asked to join, and as what."""

    email: Annotated[Text, Field(max_length=320)]
    role: Role
    language: Literal["en", "de"] = "en"


class Invitations(Told):
    """All open invitations, the newest first."""

    data: list[InvitationTold]


@operation("GET", "/members", "members:read")
def list_members(call: Call, query: MemberQuery) -> Page[MemberTold]:
    """List members in the order in which they came."""
    found = verbs.members_page(call.reading, call.part(query), query.q)
    return call.page(query, found, lambda row: (row.membership.id,), member_of)


@operation("PUT", "/members/<member_uid>/role", "members:write", problems=("conflict",))
def change_member_role(call: Call, member_uid: str, body: RoleWish) -> MemberTold:
    """Give a member another role."""
    return member_of(verbs.change_role(call.writing, member_uid, body.role, _authority(call)))


@operation("DELETE", "/members/<member_uid>", "members:write", problems=("conflict",))
def remove_member(call: Call, member_uid: str) -> None:
    """Take a member's place away; they are logged out, and their tokens end."""
    leaving.remove(call.writing, member_uid, _authority(call))


@operation("GET", "/invitations", "members:read")
def list_invitations(call: Call) -> Invitations:
    """List the invitations nobody has answered, at most 200."""
    rows = invitations.open_invitations(call.reading)
    return Invitations(data=[InvitationTold.model_validate(row) for row in rows])


@operation("POST", "/invitations", "members:write", status=201, problems=("conflict",))
def invite_member(call: Call, body: InvitationWish) -> InvitationTold:
    """Mail somebody an invitation to join."""
    locale = locale_for(body.language)
    made = invitations.invite(call.writing, body.email, body.role, locale, _host(call), call.now)
    call.writing.flush()
    return InvitationTold.model_validate(made)


@operation("POST", "/invitations/<invitation_uid>/resend", "members:write", status=202,
           problems=("conflict",))  # fmt: skip
def resend_invitation(call: Call, invitation_uid: str) -> InvitationTold:
    """Mail an invitation once more with a new link; the old one ends."""
    _known(call, invitation_uid)
    found = invitations.resend(call.writing, invitation_uid, _host(call), call.now)
    call.writing.flush()
    return InvitationTold.model_validate(found)


@operation("DELETE", "/invitations/<invitation_uid>", "members:write", problems=("conflict",))
def withdraw_invitation(call: Call, invitation_uid: str) -> None:
    """Take an invitation back: its link works no more."""
    _known(call, invitation_uid)
    invitations.withdraw(call.writing, invitation_uid, _authority(call), call.now)


def _authority(call: Call) -> Authority:
    return Authority(call.actor, call.caller.role)


def _host(call: Call) -> invitations.Host:
    tenant = call.writing.get_one(Tenant, call.caller.tenant_id)
    name = call.writing.scalars(select(User.name).where(User.id == call.caller.user_id)).one()
    sender = sender_of(tenant, call.services.desk.sender)
    return invitations.Host(_authority(call), name, sender, call.services.settings.web.base_url)


def _known(call: Call, uid: str) -> None:
    """Raise ``Problem`` 404 unless the organisation ever sent that invitation."""
    if call.reading.scalar(select(Invitation.id).where(Invitation.uid == uid)) is None:
        raise Problem("not_found")
