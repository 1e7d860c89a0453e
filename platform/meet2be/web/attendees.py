"""Who comes to an event: searched, filtered, and one of them."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from meet2be.attendees import listing
from meet2be.attendees.listing import (
    FILTERS,
    LONGEST_SEARCH,
    SORTS,
    AttendeeList,
    AttendeeSearch,
    order_of,
)
from meet2be.cancellations.listing import items_of_attendee
from meet2be.web.events import event_or_404
from meet2be.web.paging import listing as listed
from meet2be.web.paging import page_url, wanted_slice
from meet2be.web.security import READ, requires, tenant_session

blueprint = Blueprint("attendees", __name__)


@blueprint.get("/events/<event_uid>/attendees")
@requires(READ)
def index(event_uid: str) -> ResponseReturnValue:
    """List an event's attendees, by name unless another order is asked for."""
    session = tenant_session(read_only=True)
    event = event_or_404(event_uid)
    wanted = request.args.get("state", "")
    search = AttendeeSearch(
        words=request.args.get("q", "").strip()[:LONGEST_SEARCH],
        state=wanted if wanted in FILTERS else "",
    )
    sort = request.args.get("sort", "")
    sort = sort if sort in SORTS else "name"
    order = order_of(search, sort)
    part = wanted_slice(lambda uid: listing.position_of(session, uid, order))
    found = AttendeeList(session, event.id, search)
    page = found.page(part, sort)
    number, is_exact = found.count()
    return render_template(
        "attendees/index.html",
        event=event,
        search=search,
        filters=FILTERS,
        sort=sort,
        sorts={name: page_url(sort=name, after=None, before=None) for name in SORTS},
        page=listed(page, lambda row: row[0].uid),
        number_found=number,
        is_exact=is_exact,
    )


@blueprint.get("/attendees/<uid>")
@requires(READ)
def show(uid: str) -> ResponseReturnValue:
    """Show one attendee with order, invoice, payment, and what cancellations did for them."""
    session = tenant_session(read_only=True)
    details = listing.attendee_details(session, uid)
    if details is None:
        abort(404)
    items = items_of_attendee(session, details.attendee.id)
    return render_template("attendees/show.html", it=details, items=items)
