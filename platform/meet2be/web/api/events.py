"""Events and their kinds of tickets: seen, made, changed, published, closed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from meet2be.events import listing
from meet2be.events.models import Event
from meet2be.objects.base import Told
from meet2be.objects.events import EventTold, TicketTypeTold
from meet2be.programme import events as verbs
from meet2be.programme import shelving, tickets
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import Given, ListQuery, MinorSums, Page, Since, Text


class TicketTypes(Told):
    """All kinds of tickets of an event, in the order of the page."""

    data: list[TicketTypeTold]


class EventWish(Given):
    """An event as it shall be; times are moments, shown on the clocks of `timezone`."""

    title: Annotated[Text, Field(max_length=200)]
    starts_at: Since
    ends_at: Since
    timezone: Annotated[Text, Field(max_length=64, examples=["Europe/Berlin"])]
    currency: Annotated[Text, Field(max_length=3, examples=["EUR"])]
    slug: Annotated[Text, Field(max_length=60)] = Field(
        "", description="Its name in addresses; empty: made from the title."
    )
    description: Annotated[Text, Field(max_length=10_000)] | None = None
    place: Annotated[Text, Field(max_length=200)] | None = None
    capacity: int | None = Field(
        None, ge=1, le=verbs.MOST_PLACES, description="Null: as many as the kinds of tickets have."
    )
    on_sale_from: Since | None = None
    on_sale_until: Since | None = None
    test_mode: bool = False


class EventChange(Given):
    """What of an event changes; what is left out stays."""

    title: Annotated[Text, Field(max_length=200)] = ""
    starts_at: Since | None = None
    ends_at: Since | None = None
    timezone: Annotated[Text, Field(max_length=64)] = ""
    currency: Annotated[Text, Field(max_length=3)] = ""
    slug: Annotated[Text, Field(max_length=60)] = ""
    description: Annotated[Text, Field(max_length=10_000)] | None = None
    place: Annotated[Text, Field(max_length=200)] | None = None
    capacity: int | None = Field(None, ge=1, le=verbs.MOST_PLACES)
    on_sale_from: Since | None = None
    on_sale_until: Since | None = None
    test_mode: bool = False


class TicketTypeWish(Given):
    """A kind of ticket as it shall be; the price in minor units, tax included."""

    name: Annotated[Text, Field(max_length=120)]
    price_minor: int = Field(ge=0, le=tickets.HIGHEST_PRICE)
    quota: int = Field(ge=0, le=verbs.MOST_PLACES)
    tax_bp: int = Field(0, ge=0, le=10_000)
    on_sale_from: Since | None = None
    on_sale_until: Since | None = None
    is_hidden: bool = False
    is_shipped: bool = False


class TicketTypeChange(Given):
    """What of a kind of ticket changes; what is left out stays."""

    name: Annotated[Text, Field(max_length=120)] = ""
    price_minor: int = Field(0, ge=0, le=tickets.HIGHEST_PRICE)
    quota: int = Field(0, ge=0, le=verbs.MOST_PLACES)
    tax_bp: int = Field(0, ge=0, le=10_000)
    on_sale_from: Since | None = None
    on_sale_until: Since | None = None
    is_hidden: bool = False
    is_shipped: bool = False


class EventQuery(ListQuery):
    """Which events."""

    archived: Literal["true", "false"] = Field(
        "false", description="`true`: those in the archive, instead of all others."
    )


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
def list_events(call: Call, query: EventQuery) -> Page[EventTold]:
    """List the organisation's events, the latest first; those in the archive apart."""
    part = call.part(query)
    found = listing.events_page(call.reading, part, archived=query.archived == "true")
    return call.page(query, found, lambda row: (row.starts_at, row.id), EventTold.model_validate)


@operation("GET", "/events/<event_uid>", "events:read")
def get_event(call: Call, event_uid: str) -> EventTold:
    """Give one event."""
    return EventTold.model_validate(event_of(call, event_uid))


@operation("GET", "/events/<event_uid>/ticket-types", "events:read")
def list_ticket_types(call: Call, event_uid: str) -> TicketTypes:
    """List an event's kinds of tickets in their order."""
    rows = listing.ticket_types(call.reading, event_of(call, event_uid).id)
    return TicketTypes(data=[TicketTypeTold.model_validate(row) for row in rows])


@operation("GET", "/events/<event_uid>/sums", "attendees:read")
def get_event_sums(call: Call, event_uid: str) -> AttendeeSums:
    """Tell what an event's attendees add up to, counted now."""
    found = listing.figures(call.reading, event_of(call, event_uid).id)
    return AttendeeSums.model_validate(found)


@operation("POST", "/events", "events:write", status=201, problems=("conflict",))
def create_event(call: Call, body: EventWish) -> EventTold:
    """Make an event: a draft, until it is published."""
    draft = verbs.EventDraft(**_named(body))
    event = verbs.create_event(call.writing, draft, call.actor)
    call.writing.flush()
    return EventTold.model_validate(event)


@operation("PATCH", "/events/<event_uid>", "events:write", problems=("conflict",))
def change_event(call: Call, event_uid: str, body: EventChange) -> EventTold:
    """Change what is said of an event; the currency stays once a ticket was ordered."""
    event = verbs.change_event(call.writing, event_uid, _given(body), call.actor)
    call.writing.flush()
    return EventTold.model_validate(event)


@operation("POST", "/events/<event_uid>/publish", "events:write", problems=("conflict",))
def publish_event(call: Call, event_uid: str) -> EventTold:
    """Put a draft on its public page, where its tickets are sold."""
    event = verbs.publish_event(call.writing, event_uid, call.actor)
    call.writing.flush()
    return EventTold.model_validate(event)


@operation("POST", "/events/<event_uid>/unpublish", "events:write", problems=("conflict",))
def unpublish_event(call: Call, event_uid: str) -> EventTold:
    """Take an event off its public page: nothing more is sold.

    It is a draft again, under its old address. Tickets that were sold stay good; orders whose
    tickets are set aside can still be paid until that ends.
    """
    event = shelving.unpublish_event(call.writing, event_uid, call.actor)
    call.writing.flush()
    return EventTold.model_validate(event)


@operation("POST", "/events/<event_uid>/archive", "events:write", problems=("conflict",))
def archive_event(call: Call, event_uid: str) -> EventTold:
    """Put an event that is over, cancelled or never was sold into the archive.

    It is left out of the list, and nothing of it can be changed; refunds and exports can be made.
    """
    event = shelving.archive_event(call.writing, event_uid, call.actor)
    call.writing.flush()
    return EventTold.model_validate(event)


@operation("POST", "/events/<event_uid>/restore", "events:write", problems=("conflict",))
def restore_event(call: Call, event_uid: str) -> EventTold:
    """Take an event out of the archive, as it was put in."""
    event = shelving.restore_event(call.writing, event_uid, call.actor)
    call.writing.flush()
    return EventTold.model_validate(event)


@operation("POST", "/events/<event_uid>/ticket-types", "events:write", status=201,
           problems=("conflict",))  # fmt: skip
def create_ticket_type(call: Call, event_uid: str, body: TicketTypeWish) -> TicketTypeTold:
    """Make a kind of ticket, the last of its event."""
    draft = tickets.TicketDraft(**_named(body))
    made = tickets.create_ticket(call.writing, event_uid, draft, call.actor)
    return TicketTypeTold.model_validate(made)


@operation("PATCH", "/ticket-types/<ticket_type_uid>", "events:write", problems=("conflict",))
def change_ticket_type(call: Call, ticket_type_uid: str, body: TicketTypeChange) -> TicketTypeTold:
    """Change a kind of ticket: a price is for orders to come, a quota never below what is sold."""
    changed = tickets.change_ticket(call.writing, ticket_type_uid, _given(body), call.actor)
    call.writing.flush()
    return TicketTypeTold.model_validate(changed)


@operation("POST", "/ticket-types/<ticket_type_uid>/close", "events:write",
           problems=("conflict",))  # fmt: skip
def close_ticket_type(call: Call, ticket_type_uid: str) -> TicketTypeTold:
    """Sell no more of a kind of ticket; what is sold stays."""
    closed = tickets.close_ticket(call.writing, ticket_type_uid, call.actor)
    call.writing.flush()
    return TicketTypeTold.model_validate(closed)


@operation("POST", "/ticket-types/<ticket_type_uid>/reopen", "events:write",
           problems=("conflict",))  # fmt: skip
def reopen_ticket_type(call: Call, ticket_type_uid: str) -> TicketTypeTold:
    """Sell a closed kind of ticket again."""
    opened = tickets.reopen_ticket(call.writing, ticket_type_uid, call.actor)
    call.writing.flush()
    return TicketTypeTold.model_validate(opened)


def _named(body: Given) -> dict[str, Any]:
    return {name: getattr(body, name) for name in type(body).model_fields}


def _given(body: Given) -> dict[str, Any]:
    """Return what a change names; null where there must be a value says nothing."""
    named = {name: getattr(body, name) for name in body.model_fields_set}
    return {
        name: value
        for name, value in named.items()
        if value is not None or name not in {"starts_at", "ends_at"}
    }
