"""Choosing a password by a mailed link: because it was lost, or as the first one."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.accounts import resets
from meet2be.accounts.errors import LoginThrottled, WeakPassword
from meet2be.accounts.passwords import SHORTEST
from meet2be.accounts.services import open_session
from meet2be.accounts.tokens import TokenRefused
from meet2be.language import _, said, speak
from meet2be.web.security import browser, lifetime, public, remember, services

blueprint = Blueprint("passwords", __name__)


@blueprint.get("/password")
@public
def forgotten() -> ResponseReturnValue:
    """Ask for the address."""
    return render_template("account/forgotten.html", problem="", email="", is_sent=False)


@blueprint.post("/password")
@public
def send_link() -> ResponseReturnValue:
    """Mail a link if the address is somebody's; the answer is the same if not."""
    platform, email = services(), request.form.get("email", "").strip()[:320]
    if "@" not in email:
        problem = _("This is no e-mail address.")
        page = render_template(
            "account/forgotten.html", problem=problem, email=email, is_sent=False
        )
        return page, 422
    try:
        with platform.database.system_session("mail a link to choose a password") as session:
            resets.ask(
                session,
                email,
                browser(),
                platform.clock.now(),
                platform.desk.sender,
                platform.settings.web.base_url,
            )
    except LoginThrottled as error:
        problem = f"{said(error)}."
        page = render_template(
            "account/forgotten.html", problem=problem, email=email, is_sent=False
        )
        return page, 429
    return render_template("account/forgotten.html", problem="", email=email, is_sent=True)


@blueprint.get("/password/<secret>")
@public
def reset(secret: str) -> ResponseReturnValue:
    """Show the form behind the mailed link."""
    return _form(secret, resets.RESET)


@blueprint.post("/password/<secret>")
@public
def do_reset(secret: str) -> ResponseReturnValue:
    """Set the new password; the person logs in with it."""
    return _choose(secret, resets.RESET)


@blueprint.get("/welcome/<secret>")
@public
def welcome(secret: str) -> ResponseReturnValue:
    """Show the form behind a welcome."""
    return _form(secret, resets.WELCOME)


@blueprint.post("/welcome/<secret>")
@public
def do_welcome(secret: str) -> ResponseReturnValue:
    """Set the first password and let the person in."""
    return _choose(secret, resets.WELCOME)


def _form(secret: str, purpose: str, problem: str = "", status: int = 200) -> ResponseReturnValue:
    platform = services()
    try:
        with platform.database.system_session("look at a mailed link", read_only=True) as session:
            user = resets.whose(session, secret, purpose, platform.clock.now())
            speak(user.locale)
    except TokenRefused as error:
        return gone(error)
    page = render_template(
        "account/choose.html",
        user=user,
        shortest=SHORTEST,
        is_first=purpose == resets.WELCOME,
        problem=problem,
    )
    return page, status


def _choose(secret: str, purpose: str) -> ResponseReturnValue:
    platform, password = services(), request.form.get("password", "")
    if password != request.form.get("again", ""):
        return _form(secret, purpose, _("The two passwords differ."), 422)
    now = platform.clock.now()
    try:
        with platform.database.system_session("set a password by a mailed link") as session:
            user, tenant_id = resets.choose(
                session,
                secret,
                purpose,
                password,
                browser(),
                now,
                platform.desk.sender,
                platform.settings.web.base_url,
            )
            cookie = None
            if tenant_id is not None:
                cookie = open_session(session, user.id, tenant_id, browser(), now, lifetime())
            session.commit()
    except WeakPassword as error:
        return _form(secret, purpose, f"{said(error)}.", 422)
    except TokenRefused as error:
        return gone(error)
    if cookie is not None:
        return remember(redirect(url_for("events.index"), 303), cookie)
    flash(_("Your password is changed. Log in with the new one."), "success")
    return redirect(url_for("auth.login"), 303)


def gone(error: TokenRefused) -> ResponseReturnValue:
    """Return the page of a link that is unknown, used or too old."""
    return render_template("account/gone.html", problem=f"{said(error)}."), 404
