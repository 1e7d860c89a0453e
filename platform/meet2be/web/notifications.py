"""What the platform has to tell the person who is logged in, and how they want to hear it."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.language import _
from meet2be.notifications import listing, preferences
from meet2be.notifications.services import mark_read
from meet2be.web.paging import listing as listed
from meet2be.web.paging import wanted_slice
from meet2be.web.security import READ, identity, requires, services, tenant_session

blueprint = Blueprint("notifications", __name__)


@blueprint.get("/notifications")
@requires(READ)
def index() -> ResponseReturnValue:
    """List the person's notices."""
    session, person = tenant_session(read_only=True), identity().user_id
    only_unread = request.args.get("state") == "unread"
    part = wanted_slice(lambda uid: listing.position_of(session, person, uid))
    page = listing.notices_page(session, person, part, unread=only_unread)
    return render_template(
        "notifications/index.html",
        page=listed(page, lambda notice: notice.uid),
        only_unread=only_unread,
    )


@blueprint.post("/notifications/read")
@requires(READ)
def read() -> ResponseReturnValue:
    """Mark one notice, or all without ``notice``, as read."""
    session = tenant_session()
    uid = request.form.get("notice") or None
    mark_read(session, identity().user_id, uid, services().clock.now())
    session.commit()
    return redirect(url_for("notifications.index"), 303)


@blueprint.get("/notifications/preferences")
@requires(READ)
def choose() -> ResponseReturnValue:
    """Show which kinds of notice the person hears, and how."""
    session = tenant_session(read_only=True)
    chosen = preferences.choices(session, identity().user_id)
    return render_template("notifications/preferences.html", choices=chosen)


@blueprint.post("/notifications/preferences")
@requires(READ)
def chosen() -> ResponseReturnValue:
    """Keep what the person wants to hear from now on."""
    session = tenant_session()
    pairs = (word.partition(":") for word in request.form.getlist("hear"))
    wanted = {(kind, channel) for kind, _colon, channel in pairs}
    preferences.choose(session, identity().user_id, wanted)
    session.commit()
    flash(_("Kept. It holds for notices from now on."), "success")
    return redirect(url_for("notifications.choose"), 303)
