"""Events and their kinds of tickets."""

from __future__ import annotations

from typing import Literal

from meet2be.events import listing
from meet2be.events.models import Event
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import ListQuery, MinorSums, Moment, Page, Told, Uid

Status = Literal["draft", "live", "cancelling", "cancelled", "archived"]


class EventTold(Told):
    """An event."""

    uid: Uid
    slug: str
    title: str
    status: Status
    starts_at: Moment
    ends_at: Moment
    timezone: str
    currency: str
    test_mode: bool
    cancelled_at: Moment | None
    version: int


class TicketTypeTold(Told):
    """A kind of ticket; the price is in minor units of the event's currency."""

    name: str
    price_minor: int
    quota: int
    held: int
    sold: int


class TicketTypes(Told):
    """All kinds of tickets of an event, the dearest first."""

    data: list[TicketTypeTold]


class AttendeeSums(Told):
    """What an event's attendees add up to."""

    attendees: int
    coming: int
    statuses: dict[str, int]
    charged_minor: MinorSums
    refunded_minor: MinorSums


def event_of(call: Call, uid: str) -> Event:
    """Return the tenant's event; raises ``Problem`` 404."""
    event = listing.find_event(call.reading, uid)
    if event is None:
        raise Problem("not_found")
    return event


@operation("GET", "/events", "events:read")
def list_events(call: Call, query: ListQuery) -> Page[EventTold]:
    """List the organisation's events, the latest first."""
    found = listing.events_page(call.reading, call.part(query))
    return call.page(query, found, lambda row: (row.starts_at, row.id), EventTold.model_validate)


@operation("GET", "/events/<event_uid>", "events:read")
def get_event(call: Call, event_uid: str) -> EventTold:
    """Give one event."""
    return EventTold.model_validate(event_of(call, event_uid))


@operation("GET", "/events/<event_uid>/ticket-types", "events:read")
def list_ticket_types(call: Call, event_uid: str) -> TicketTypes:
    """List an event's kinds of tickets, the dearest first."""
    rows = listing.ticket_types(call.reading, event_of(call, event_uid).id)
    return TicketTypes(data=[TicketTypeTold.model_validate(row) for row in rows])


@operation("GET", "/events/<event_uid>/sums", "attendees:read")
def get_event_sums(call: Call, event_uid: str) -> AttendeeSums:
    """Tell what an event's attendees add up to, counted now."""
    found = listing.figures(call.reading, event_of(call, event_uid).id)
    return AttendeeSums.model_validate(found)
