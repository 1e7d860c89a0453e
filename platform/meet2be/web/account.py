"""A person's own account: name, language, time zone, password, and where they are logged in."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.accounts import own
from meet2be.accounts.errors import LoginError, WeakPassword
from meet2be.accounts.members import MemberError, end_sessions
from meet2be.accounts.models import User
from meet2be.accounts.passwords import SHORTEST
from meet2be.language import _, language_of, said, speak
from meet2be.web.browsers import name_of
from meet2be.web.paging import row_number
from meet2be.web.security import (
    SIGNED_IN,
    browser,
    identity,
    lifetime,
    requires,
    services,
)

blueprint = Blueprint("account", __name__, url_prefix="/account")
REASON = "a person's own account"


@blueprint.get("")
@requires(SIGNED_IN)
def show() -> ResponseReturnValue:
    """Show what the person may change about themselves."""
    return _page()


@blueprint.post("")
@requires(SIGNED_IN)
def change() -> ResponseReturnValue:
    """Save name, language and time zone."""
    form = request.form
    try:
        with services().database.system_session(REASON) as session:
            user = own.change(
                session,
                identity().user_id,
                form.get("name", ""),
                form.get("language", ""),
                form.get("timezone") or None,
            )
            session.commit()
    except MemberError as error:
        return _page(problem=f"{said(error)}."), 422
    speak(user.locale)
    flash(_("Saved."), "success")
    return redirect(url_for("account.show"), 303)


@blueprint.post("/here")
@requires(SIGNED_IN)
def here() -> ResponseReturnValue:
    """Answer to a page in which somebody types: each request puts the end of their log-in off."""
    return "", 204


@blueprint.app_template_global()
def typing_told_every() -> int:
    """Return after how many seconds at the soonest a page tells again that somebody types in it.

    Five minutes, and often enough that a log-in which lasts for less does not end meanwhile.
    """
    return min(300, int(lifetime().idle.total_seconds()) // 3)


@blueprint.post("/password")
@requires(SIGNED_IN)
def change_password() -> ResponseReturnValue:
    """Change the password; other browsers are logged out, and a mail tells of it."""
    form, platform = request.form, services()
    if form.get("password", "") != form.get("again", ""):
        return _page(password_problem=_("The two passwords differ.")), 422
    try:
        with platform.database.system_session(REASON) as session:
            own.change_password(
                session,
                identity().user_id,
                identity().session_id,
                form.get("present", ""),
                form.get("password", ""),
                browser(),
                platform.clock.now(),
                platform.desk.sender,
                platform.settings.web.base_url,
            )
            session.commit()
    except (LoginError, WeakPassword) as error:
        return _page(password_problem=f"{said(error)}."), 422
    flash(_("Your password is changed. Other browsers are logged out."), "success")
    return redirect(url_for("account.show"), 303)


@blueprint.post("/sessions/end")
@requires(SIGNED_IN)
def end() -> ResponseReturnValue:
    """Log one browser out, or all others when none is named."""
    now, person = services().clock.now(), identity()
    given = request.form.get("session", "")
    number = row_number(given)
    with services().database.system_session(REASON) as session:
        if not given:
            end_sessions(session, person.user_id, now, but=person.session_id)
        elif number is not None:
            own.end_session(session, person.user_id, number[0], now)
        session.commit()
    flash(_("Logged out there."), "success")
    return redirect(url_for("account.show"), 303)


def _page(problem: str = "", password_problem: str = "") -> str:
    with services().database.system_session(REASON, read_only=True) as session:
        user = session.get_one(User, identity().user_id)
        now = services().clock.now()
        browsers = own.browsers_of(session, user.id, now, lifetime())
    return render_template(
        "account/show.html",
        user=user,
        language=language_of(user.locale),
        zones=own.zones(),
        browsers=[(each, name_of(each.user_agent)) for each in browsers],
        present=identity().session_id,
        shortest=SHORTEST,
        problem=problem,
        password_problem=password_problem,
    )
