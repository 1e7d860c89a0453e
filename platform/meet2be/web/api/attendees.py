"""Attendees: searched, filtered, and one with what belongs to the ticket."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from meet2be.attendees.listing import AttendeeList, AttendeeSearch, order_of, place_of
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
Sort = Literal[
    "name", "-name", "email", "-email", "registered", "-registered", "state", "-state", "ticket",
    "-ticket",
]  # fmt: skip


class AttendeeQuery(ListQuery):
    """Which attendees: the words they are looked for by, a state, and in which order."""

    q: Annotated[str, Field(max_length=200)] = Field(
        "",
        description="Words, each the beginning of a first, second or last name, a company, an "
        "e-mail address, its domain, or an order's or ticket's code.",
    )
    state: Filter | None = None
    sort: Sort = Field("name", description="The order; with a minus the other way round.")


def _told(row: Any) -> AttendeeTold:
    attendee, ticket = row
    return AttendeeTold(**attendee_fields(attendee), ticket_type=ticket)


@operation("GET", "/events/<event_uid>/attendees", "attendees:read")
def list_attendees(call: Call, event_uid: str, query: AttendeeQuery) -> Page[AttendeeTold]:
    """List an event's attendees."""
    event = event_of(call, event_uid)
    search = AttendeeSearch(words=query.q.strip(), state=query.state or "")
    order = order_of(search, query.sort)
    found = AttendeeList(call.reading, event.id, search).page(call.part(query), query.sort)
    return call.page(query, found, lambda row: place_of(row[0], order), _told)


@operation("GET", "/attendees/<attendee_uid>", "attendees:read")
def get_attendee(call: Call, attendee_uid: str) -> AttendeeWithOrder:
    """Give one attendee with the order, invoice and payment behind the ticket."""
    found = attendee_told(call.reading, attendee_uid)
    if found is None:
        raise Problem("not_found")
    return found
