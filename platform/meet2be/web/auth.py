"""Logging in, logging out and changing between organisations."""

from __future__ import annotations

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.accounts.errors import LoginError, LoginThrottled
from meet2be.accounts.services import log_in, log_out, switch_tenant
from meet2be.language import _, said
from meet2be.web.security import (
    SIGNED_IN,
    browser,
    cookie_name,
    identity,
    lifetime,
    page_of_ours,
    public,
    remember,
    requires,
    services,
)

blueprint = Blueprint("auth", __name__)


@blueprint.get("/login")
@public
def login() -> ResponseReturnValue:
    """Show the log-in, or go on when somebody is logged in."""
    if g.identity is not None:
        return redirect(_wanted_page())
    return render_template("login.html", next=request.args.get("next", ""), email="", problem=None)


@blueprint.post("/login")
@public
def do_login() -> ResponseReturnValue:
    """Check address and password; each success opens a session of its own."""
    email, password = request.form.get("email", ""), request.form.get("password", "")
    try:
        with services().database.system_session("log in") as session:
            now = services().clock.now()
            secret = log_in(session, email, password, browser(), now, lifetime())
    except LoginError as error:
        status = 429 if isinstance(error, LoginThrottled) else 401
        page = render_template(
            "login.html", next=request.form.get("next", ""), email=email, problem=said(error)
        )
        return page, status
    return remember(redirect(_wanted_page()), secret)


@blueprint.post("/logout")
@requires(SIGNED_IN)
def logout() -> ResponseReturnValue:
    """End this browser's session."""
    with services().database.system_session("log out") as session:
        log_out(session, identity().session_id, services().clock.now())
    response = redirect(url_for("auth.login"))
    response.delete_cookie(cookie_name(), path="/", secure=services().settings.web.is_https)
    return response


@blueprint.post("/organisation")
@requires(SIGNED_IN)
def change_organisation() -> ResponseReturnValue:
    """Turn to another of the person's organisations."""
    with services().database.system_session("change between organisations") as session:
        changed = switch_tenant(session, identity(), request.form.get("tenant", ""))
    if not changed:
        flash(_("You have no access to this organisation."), "error")
    return redirect(url_for("events.index"))


def _wanted_page() -> str:
    """Return where to go after the log-in: only ever a page of ours."""
    return page_of_ours(request.values.get("next", "")) or url_for("events.index")
