"""Opening an organisation: the public form, and the page behind the mailed link."""

from __future__ import annotations

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.accounts.errors import LoginError, LoginThrottled, WeakPassword
from meet2be.accounts.members import MemberError
from meet2be.accounts.models import User
from meet2be.accounts.newcomers import known_person
from meet2be.accounts.own import locale_for, zones
from meet2be.accounts.passwords import SHORTEST
from meet2be.accounts.services import open_session, prove
from meet2be.accounts.tokens import TokenRefused
from meet2be.language import LANGUAGES, _, said, speak, spoken
from meet2be.organisations import sign_up
from meet2be.organisations.details import COMMON_CURRENCIES, ProfileRefused
from meet2be.tenancy.models import SignUp, Tenant
from meet2be.web.cancelling import Problems
from meet2be.web.passwords import gone
from meet2be.web.security import browser, lifetime, public, remember, services

blueprint = Blueprint("signup", __name__)
REASON = "somebody opens an organisation"


@blueprint.get("/signup")
@public
def form() -> ResponseReturnValue:
    """Ask for the organisation and the owner's address."""
    return _form(Problems())


@blueprint.post("/signup")
@public
def ask() -> ResponseReturnValue:
    """Mail the link that confirms the address."""
    given, platform, problems = request.form, services(), Problems()
    language = given.get("language", "")
    if language not in LANGUAGES:
        problems.fields["language"] = _("Choose a language of the list")
        return _form(problems), 422
    wish = sign_up.Wish(
        email=given.get("email", "")[:320],
        name=given.get("name", "")[:400],
        slug=given.get("slug", "")[:64],
        timezone=given.get("timezone", ""),
        currency=given.get("currency", "").strip().upper()[:8],
        locale=locale_for(language),
    )
    base_url, now = platform.settings.web.base_url, platform.clock.now()
    try:
        with platform.database.system_session(REASON) as session:
            sign_up.ask(session, wish, browser(), now, platform.desk.sender, base_url)
    except ProfileRefused as error:
        problems.fields[error.field] = f"{said(error)}."
        return _form(problems), 422
    except LoginThrottled as error:
        problems.general = f"{said(error)}."
        return _form(problems), 429
    speak(wish.locale)
    return render_template("account/signup_sent.html", email=wish.email)


@blueprint.get("/signup/<secret>")
@public
def confirm(secret: str) -> ResponseReturnValue:
    """Show what is left to do for whoever opened the link."""
    return _confirm_page(secret)


@blueprint.post("/signup/<secret>")
@public
def do_confirm(secret: str) -> ResponseReturnValue:
    """Make the organisation and let its owner in."""
    platform, now = services(), services().clock.now()
    with platform.database.system_session(REASON) as session:
        try:
            found = sign_up.find_by_secret(session, secret, now)
            speak(found.locale)
            user, tenant = _opened(session, secret, found)
            cookie = open_session(session, user.id, tenant.id, browser(), now, lifetime())
            session.commit()
        except TokenRefused as error:
            return gone(error)
        except (LoginError, WeakPassword, MemberError, ProfileRefused) as error:
            session.rollback()
            return _confirm_page(secret, f"{said(error)}.", 422)
    flash(_("%(name)s is open. Invite your colleagues, or begin.", name=tenant.name), "success")
    return remember(redirect(url_for("events.index"), 303), cookie)


def _opened(session: Session, secret: str, found: SignUp) -> tuple[User, Tenant]:
    """Open it for whoever is logged in, for a known person, or for somebody new."""
    given, now = request.form, services().clock.now()
    password = given.get("password", "")
    if g.identity is not None:
        user = session.get_one(User, g.identity.user_id)
    elif known_person(session, found.email_norm) is not None:
        user = prove(session, found.email, password, browser(), now)
    else:
        if password != given.get("again", ""):
            raise MemberError(_("The two passwords differ"))
        name = given.get("name", "")
        return sign_up.confirm_as_new(session, secret, name, password, browser(), now)
    return user, sign_up.confirm(session, secret, user, browser(), now)


def _form(problems: Problems) -> str:
    return render_template(
        "account/signup.html",
        problems=problems,
        given=request.form,
        zones=zones(),
        currencies=COMMON_CURRENCIES,
        language=spoken(),
    )


def _confirm_page(secret: str, problem: str = "", status: int = 200) -> ResponseReturnValue:
    platform = services()
    with platform.database.system_session(REASON, read_only=True) as session:
        try:
            found = sign_up.find_by_secret(session, secret, platform.clock.now())
        except TokenRefused as error:
            return gone(error)
        is_known = known_person(session, found.email_norm) is not None
        me = session.get(User, g.identity.user_id) if g.identity is not None else None
    speak(found.locale)
    page = render_template(
        "account/signup_confirm.html",
        wish=found,
        is_known=is_known,
        is_me=me is not None and me.email_norm == found.email_norm,
        other=me.email if me is not None and me.email_norm != found.email_norm else "",
        shortest=SHORTEST,
        problem=problem,
        name=request.form.get("name", ""),
    )
    return page, status
