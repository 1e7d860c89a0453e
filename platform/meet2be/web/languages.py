"""Changing the language of the pages: for people who are logged in for good, else by a cookie."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flask import Blueprint, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.accounts.own import choose_language
from meet2be.language import LANGUAGES
from meet2be.web.security import LANGUAGE_COOKIE, page_of_ours, public, services

blueprint = Blueprint("languages", __name__)
KEPT: Final = timedelta(days=365)


@blueprint.post("/language")
@public
def choose() -> ResponseReturnValue:
    """Speak another language from now on, and go back to the page one came from."""
    wanted = request.form.get("language", "")
    response = redirect(page_of_ours(request.form.get("next", "")) or url_for("events.home"), 303)
    if wanted not in LANGUAGES:
        return response
    if g.identity is not None:
        with services().database.system_session("choose one's language") as session:
            choose_language(session, g.identity.user_id, wanted)
            session.commit()
    response.set_cookie(
        LANGUAGE_COOKIE,
        wanted,
        max_age=int(KEPT.total_seconds()),
        secure=services().settings.web.is_https,
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return response
