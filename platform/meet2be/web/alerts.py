"""An organisation's own channels for its notices: Slack, or any receiver of JSON."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.alerts import channels
from meet2be.alerts.channels import ChannelRefused, UnknownChannel
from meet2be.alerts.sending import open_url
from meet2be.integrations.guarded_urls import RefusedUrl
from meet2be.language import _, said
from meet2be.web.actors import actor
from meet2be.web.security import ADMINISTER, identity, requires, services, tenant_session

blueprint = Blueprint("alerts", __name__)


@blueprint.get("/notifications/channels")
@requires(ADMINISTER)
def index() -> ResponseReturnValue:
    """List the channels, with what came of the last alerts."""
    return _page()


@blueprint.post("/notifications/channels")
@requires(ADMINISTER)
def add() -> ResponseReturnValue:
    """Make a channel and show its secret once."""
    session, platform, form = tenant_session(), services(), request.form
    try:
        made = channels.add(
            session,
            platform.webhooks.http,
            platform.webhooks.vault,
            form.get("name", ""),
            form.get("form", ""),
            form.get("url", ""),
            form.get("severity", ""),
            actor(),
            identity().user_id,
        )
        session.commit()
    except (ChannelRefused, RefusedUrl) as error:
        session.rollback()
        return _page(problem=said(error)), 422
    if made.secret is None:
        flash(_("The channel is ready. Send a trial to see it work."), "success")
        return redirect(url_for("alerts.index"), 303)
    return _page(secret=made.secret)


@blueprint.post("/notifications/channels/<uid>/<verb>")
@requires(ADMINISTER)
def act(uid: str, verb: str) -> ResponseReturnValue:
    """Send a trial, switch a channel on or off, or remove it."""
    session = tenant_session()
    try:
        if verb == "trial":
            channels.try_out(session, uid, _("A trial alert of Meet2Be"))
            words = _("A trial is on its way. Reload the page to see what came of it.")
        elif verb in {"on", "off"}:
            channels.switch(session, uid, actor(), is_on=verb == "on")
            words = _("Switched on.") if verb == "on" else _("Switched off.")
        elif verb == "remove":
            channels.remove(session, uid, actor())
            words = _("Removed.")
        else:
            abort(404)
        session.commit()
    except UnknownChannel:
        abort(404)
    flash(words, "success")
    return redirect(url_for("alerts.index"), 303)


def _page(*, problem: str = "", secret: str = "") -> str:
    session, vault = tenant_session(read_only=True), services().webhooks.vault
    found = channels.channels(session)
    return render_template(
        "notifications/channels.html",
        channels=[
            (channel, open_url(vault, channel), channels.latest(session, channel))
            for channel in found
        ],
        problem=problem,
        secret=secret,
        given=request.form,
    )
