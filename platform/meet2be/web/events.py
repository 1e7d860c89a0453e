"""The list of events, and one event."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.cancellations.listing import runs_of_event
from meet2be.events import listing
from meet2be.events.models import Event
from meet2be.web.paging import listing as listed
from meet2be.web.paging import wanted_slice
from meet2be.web.security import READ, SIGNED_IN, requires, tenant_session

blueprint = Blueprint("events", __name__)


@blueprint.get("/")
@requires(SIGNED_IN)
def home() -> ResponseReturnValue:
    """Go to the events."""
    return redirect(url_for("events.index"))


@blueprint.get("/events")
@requires(READ)
def index() -> ResponseReturnValue:
    """List the organisation's events."""
    session = tenant_session(read_only=True)
    archived = request.args.get("archived") == "yes"
    part = wanted_slice(lambda uid: listing.position_of(session, uid), size=25)
    page = listing.events_page(session, part, archived=archived)
    sold = listing.sold_tickets(session, [event.id for event in page.rows])
    return render_template(
        "events/index.html",
        page=listed(page, lambda event: event.uid),
        sold=sold,
        archived=archived,
        has_archive=archived or listing.has_archive(session),
    )


@blueprint.get("/events/<uid>")
@requires(READ)
def show(uid: str) -> ResponseReturnValue:
    """Show how an event stands."""
    session = tenant_session(read_only=True)
    event = event_or_404(uid)
    return render_template(
        "events/show.html",
        event=event,
        figures=listing.figures(session, event.id),
        tickets=listing.ticket_types(session, event.id),
        runs=runs_of_event(session, event.id),
    )


def event_or_404(uid: str) -> Event:
    """Return the organisation's event; anybody else's does not exist."""
    event = listing.find_event(tenant_session(read_only=True), uid)
    if event is None:
        abort(404)
    return event
