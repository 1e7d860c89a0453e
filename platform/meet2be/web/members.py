"""Settings → Members: who works here in which role, and who is asked to."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.accounts import invitations, members
from meet2be.accounts.members import Authority, MemberError, UnknownMember
from meet2be.accounts.own import locale_for
from meet2be.accounts.services import names_of
from meet2be.errors import Meet2BeError
from meet2be.language import LANGUAGES, _, language_of, said
from meet2be.mailings.services import sender_of
from meet2be.organisations import leaving
from meet2be.tenancy.limits import limit_of
from meet2be.tenancy.models import ROLES, Tenant
from meet2be.web.actors import actor
from meet2be.web.paging import listing as listed
from meet2be.web.paging import wanted_slice
from meet2be.web.security import (
    ADMINISTER,
    identity,
    requires,
    services,
    tenant_session,
)
from meet2be.web.wording import sentence

blueprint = Blueprint("members", __name__, url_prefix="/settings/members")


@blueprint.get("")
@requires(ADMINISTER)
def index() -> ResponseReturnValue:
    """List members and open invitations."""
    return _page()


@blueprint.post("/invite")
@requires(ADMINISTER)
def invite() -> ResponseReturnValue:
    """Mail an invitation."""
    form, session = request.form, tenant_session()
    email, role = form.get("email", "").strip()[:320], form.get("role", "")
    language = form.get("language", "")
    if role not in ROLES or language not in LANGUAGES:
        return _page(_("Choose a role and a language.")), 422
    try:
        now = services().clock.now()
        invitations.invite(session, email, role, locale_for(language), _host(), now)
        session.commit()
    except Meet2BeError as error:
        session.rollback()
        return _page(sentence(error)), 422
    flash(_("An invitation is on its way to %(email)s.", email=email), "success")
    return redirect(url_for("members.index"), 303)


@blueprint.post("/invitations/<uid>/resend")
@requires(ADMINISTER)
def resend(uid: str) -> ResponseReturnValue:
    """Mail an invitation once more; its old link ends."""
    session = tenant_session()
    _invitation_or_404(uid)
    try:
        found = invitations.resend(session, uid, _host(), services().clock.now())
        session.commit()
    except Meet2BeError as error:
        session.rollback()
        return _page(sentence(error)), 409
    flash(_("The invitation is on its way to %(email)s again.", email=found.email), "success")
    return redirect(url_for("members.index"), 303)


@blueprint.post("/invitations/<uid>/withdraw")
@requires(ADMINISTER)
def withdraw(uid: str) -> ResponseReturnValue:
    """Take an invitation back."""
    session = tenant_session()
    _invitation_or_404(uid)
    try:
        invitations.withdraw(session, uid, authority(), services().clock.now())
        session.commit()
    except MemberError as error:
        session.rollback()
        return _page(sentence(error)), 409
    flash(_("The invitation is withdrawn: its link works no more."), "success")
    return redirect(url_for("members.index"), 303)


@blueprint.post("/<uid>/role")
@requires(ADMINISTER)
def change_role(uid: str) -> ResponseReturnValue:
    """Give a member another role."""
    session, role = tenant_session(), request.form.get("role", "")
    if members.position_of(session, uid) is None:
        abort(404)
    if role not in ROLES:
        return _page(_("Choose a role.")), 422
    try:
        member = members.change_role(session, uid, role, authority())
        session.commit()
    except UnknownMember:
        abort(404)
    except MemberError as error:
        session.rollback()
        return _page(sentence(error)), 409
    words = members.role_words(role)
    flash(_("%(name)s is now: %(role)s.", name=member.user.name, role=said(words)), "success")
    return redirect(url_for("members.index"), 303)


@blueprint.post("/<uid>/remove")
@requires(ADMINISTER)
def remove(uid: str) -> ResponseReturnValue:
    """Take a member's place away."""
    session = tenant_session()
    try:
        person = leaving.remove(session, uid, authority())
        session.commit()
    except UnknownMember:
        abort(404)
    except MemberError as error:
        session.rollback()
        return _page(sentence(error)), 409
    flash(_("%(name)s is no member any more and is logged out.", name=person.name), "success")
    return redirect(url_for("members.index"), 303)


def authority() -> Authority:
    """Return what the person of this request may give; operators may give any role."""
    person = identity()
    return Authority(actor(), "owner" if person.is_operator else person.role or "viewer")


def _host() -> invitations.Host:
    platform = services()
    tenant = tenant_session().get_one(Tenant, identity().tenant_id)
    sender = sender_of(tenant, platform.desk.sender)
    base_url = platform.settings.web.base_url
    return invitations.Host(authority(), identity().user_name, sender, base_url)


def _invitation_or_404(uid: str) -> None:
    known = {each.uid for each in invitations.open_invitations(tenant_session(read_only=True))}
    if uid not in known:
        abort(404)


def _page(problem: str = "") -> str:
    session, words = tenant_session(read_only=True), request.args.get("q", "").strip()[:100]
    part = wanted_slice(lambda uid: members.position_of(session, uid))
    page = members.members_page(session, part, words)
    waiting = invitations.open_invitations(session)
    inviters = {each.invited_by for each in waiting if each.invited_by is not None}
    with services().database.system_session("name who invited", read_only=True) as system:
        names = names_of(system, inviters)
    own = authority().role
    return render_template(
        "settings/members.html",
        page=listed(page, lambda member: member.user.uid),
        words=words,
        waiting=waiting,
        names=names,
        now=services().clock.now(),
        taken=members.seats_taken(session),
        most=limit_of(session, "members"),
        roles=[role for role in ROLES if ROLES.index(role) >= ROLES.index(own)],
        language=language_of(identity().tenant_locale),
        problem=problem,
        given=request.form,
    )
