"""Settings, API tokens: made, shown once, revoked."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.accounts.services import names_of
from meet2be.api_tokens.errors import RefusedToken, UnknownToken
from meet2be.api_tokens.scopes import SCOPES, allowed_scopes
from meet2be.api_tokens.services import (
    TokenDraft,
    make_token,
    revoke_token,
    role_of,
    tokens_of_tenant,
)
from meet2be.language import _, said
from meet2be.web.actors import actor
from meet2be.web.security import ADMINISTER, identity, requires, services, tenant_session

blueprint = Blueprint("api_tokens", __name__)
LIVES = (7, 30, 90, 180, 365)
"""Days."""


@blueprint.get("/settings/api-tokens")
@requires(ADMINISTER)
def index() -> ResponseReturnValue:
    """List the organisation's tokens and ask for another one."""
    return _page()


@blueprint.post("/settings/api-tokens")
@requires(ADMINISTER)
def add() -> ResponseReturnValue:
    """Make a token and show it, this once."""
    session, form, days = tenant_session(), request.form, request.form.get("days", "90")
    draft = TokenDraft(
        form.get("name", ""),
        tuple(form.getlist("scopes")),
        int(days) if days.isdecimal() and len(days) < 4 else None if days == "never" else 0,
    )
    now = services().clock.now()
    try:
        _token, text = make_token(session, draft, identity().user_id, actor(), now)
        session.commit()
    except RefusedToken as error:
        session.rollback()
        return _page(field=error.field, problem=said(error)), 422
    return _page(secret=text)


@blueprint.post("/settings/api-tokens/<uid>/revoke")
@requires(ADMINISTER)
def revoke(uid: str) -> ResponseReturnValue:
    """End a token; programs that show it are refused from now on."""
    session = tenant_session()
    try:
        is_new = revoke_token(session, uid, actor(), services().clock.now())
    except UnknownToken:
        abort(404)
    session.commit()
    flash(_("The token is revoked.") if is_new else _("The token was revoked before."), "success")
    return redirect(url_for("api_tokens.index"), 303)


def _page(*, field: str = "", problem: str = "", secret: str = "") -> str:
    session = tenant_session(read_only=not secret)
    tokens = tokens_of_tenant(session)
    may = allowed_scopes(role_of(session, identity().user_id))
    with services().database.system_session("name whose tokens these are", read_only=True) as all_:
        names = names_of(all_, [token.user_id for token in tokens])
    return render_template(
        "api_tokens/index.html",
        tokens=tokens,
        names=names,
        scopes=[SCOPES[key] for key in may],
        chosen=request.form.getlist("scopes"),
        name=request.form.get("name", "") if problem else "",
        lives=LIVES,
        now=services().clock.now(),
        field=field,
        problem=problem,
        secret=secret,
    )
