"""Attendees: searched, filtered, and one with what belongs to the ticket."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from meet2be.attendees import listing
from meet2be.attendees.listing import AttendeeSearch
from meet2be.objects.attendees import (
    AttendeeTold,
    AttendeeWithOrder,
    attendee_fields,
    attendee_told,
)
from meet2be.web.api.calls import Call
from meet2be.web.api.events import event_of
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import ListQuery, Page

Filter = Literal["active", "cancelled", "checked_in", "transferred", "no_address", "refunded"]


class AttendeeQuery(ListQuery):
    """Which attendees: a part of a name, address, ticket code or company, and a state."""

    q: Annotated[str, Field(max_length=200)] = ""
    state: Filter | None = None


def _told(row: Any) -> AttendeeTold:
    attendee, ticket = row
    return AttendeeTold(**attendee_fields(attendee), ticket_type=ticket)


@operation("GET", "/events/<event_uid>/attendees", "attendees:read")
def list_attendees(call: Call, event_uid: str, query: AttendeeQuery) -> Page[AttendeeTold]:
    """List an event's attendees by name."""
    event = event_of(call, event_uid)
    search = AttendeeSearch(words=query.q.strip(), state=query.state or "")
    found = listing.attendees_page(call.reading, event.id, search, call.part(query))
    return call.page(query, found, lambda row: (row[0].name, row[0].id), _told)


@operation("GET", "/attendees/<attendee_uid>", "attendees:read")
def get_attendee(call: Call, attendee_uid: str) -> AttendeeWithOrder:
    """Give one attendee with the order, invoice and payment behind the ticket."""
    found = attendee_told(call.reading, attendee_uid)
    if found is None:
        raise Problem("not_found")
    return found
