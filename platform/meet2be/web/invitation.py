"""The page behind the link of an invitation, for people who are new and for those who are not."""

from __future__ import annotations

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.accounts import invitations
from meet2be.accounts.errors import LoginError, WeakPassword
from meet2be.accounts.members import MemberError
from meet2be.accounts.models import User
from meet2be.accounts.newcomers import known_person
from meet2be.accounts.own import locale_for
from meet2be.accounts.passwords import SHORTEST
from meet2be.accounts.services import open_session, prove, switch_tenant
from meet2be.accounts.tokens import TokenRefused
from meet2be.language import _, language_of, said, speak
from meet2be.tenancy.models import Invitation, Tenant
from meet2be.web.passwords import gone
from meet2be.web.security import browser, lifetime, public, remember, services

blueprint = Blueprint("invitation", __name__)
REASON = "somebody opens an invitation"


@blueprint.get("/invitation/<secret>")
@public
def show(secret: str) -> ResponseReturnValue:
    """Show who invites, and what is needed to accept."""
    return _page(secret)


@blueprint.post("/invitation/<secret>")
@public
def accept(secret: str) -> ResponseReturnValue:
    """Join: as whoever is logged in, with the password of an account, or as somebody new."""
    platform = services()
    with platform.database.system_session(REASON) as session:
        try:
            found, tenant = invitations.find_by_secret(session, secret, platform.clock.now())
            speak(found.locale)
            answer = _join(session, secret, found)
        except TokenRefused as error:
            return gone(error)
        except (LoginError, WeakPassword, MemberError) as error:
            session.rollback()
            return _page(secret, f"{said(error)}.", 422)
    flash(_("Welcome to %(name)s.", name=tenant.name), "success")
    return answer


def _join(session: Session, secret: str, found: Invitation) -> ResponseReturnValue:
    form, now = request.form, services().clock.now()
    if g.identity is not None:
        user = session.get_one(User, g.identity.user_id)
        invitations.accept_as(session, secret, user, now)
        tenant_uid = session.get_one(Tenant, found.tenant_id).uid
        session.flush()
        switch_tenant(session, g.identity, tenant_uid)
        return redirect(url_for("events.index"), 303)
    password = form.get("password", "")
    if known_person(session, found.email_norm) is not None:
        user = prove(session, found.email, password, browser(), now)
        tenant_id = invitations.accept_as(session, secret, user, now)
    else:
        if password != form.get("again", ""):
            raise _TheyDiffer
        locale = locale_for(language_of(found.locale), found.locale)
        user, tenant_id = invitations.accept_as_new(
            session, secret, form.get("name", ""), password, locale, now
        )
    cookie = open_session(session, user.id, tenant_id, browser(), now, lifetime())
    session.commit()
    return remember(redirect(url_for("events.index"), 303), cookie)


class _TheyDiffer(MemberError):
    def __init__(self) -> None:
        super().__init__(_("The two passwords differ"))


def _page(secret: str, problem: str = "", status: int = 200) -> ResponseReturnValue:
    platform = services()
    with platform.database.system_session(REASON, read_only=True) as session:
        try:
            found, tenant = invitations.find_by_secret(session, secret, platform.clock.now())
        except TokenRefused as error:
            return gone(error)
        known = known_person(session, found.email_norm)
        inviter = session.get(User, found.invited_by) if found.invited_by is not None else None
        me = session.get(User, g.identity.user_id) if g.identity is not None else None
    if me is None:
        speak(known.locale if known is not None else found.locale)
    page = render_template(
        "account/invitation.html",
        invitation=found,
        tenant=tenant,
        inviter=inviter,
        is_known=known is not None,
        is_me=me is not None and me.email_norm == found.email_norm,
        other=me.email if me is not None and me.email_norm != found.email_norm else "",
        shortest=SHORTEST,
        problem=problem,
        name=request.form.get("name", ""),
    )
    return page, status
