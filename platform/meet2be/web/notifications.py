"""What the platform has to tell the person who is logged in."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.notifications import listing
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
