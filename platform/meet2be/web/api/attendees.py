"""Attendees: searched, filtered, and one with what belongs to the ticket."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from meet2be.attendees import listing
from meet2be.attendees.listing import AttendeeDetails, AttendeeSearch
from meet2be.attendees.models import Attendee
from meet2be.web.api.calls import Call
from meet2be.web.api.events import event_of
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import ListQuery, Moment, Page, Told, Uid

Status = Literal["active", "cancelled", "checked_in", "transferred"]
Filter = Literal["active", "cancelled", "checked_in", "transferred", "no_address", "refunded"]


class AttendeeQuery(ListQuery):
    """Which attendees: a part of a name, address, ticket code or company, and a state."""

    q: Annotated[str, Field(max_length=200)] = ""
    state: Filter | None = None


class AttendeeTold(Told):
    """A person with a ticket; money in minor units of `currency`."""

    uid: Uid
    ticket_code: str
    ticket_type: str
    name: str
    email: str | None
    company: str | None
    locale: str
    status: Status
    price_minor: int
    refunded_minor: int
    currency: str
    notes: str | None
    registered_at: Moment | None
    cancelled_at: Moment | None


class PaymentTold(Told):
    """The payment behind a ticket; it may be for other tickets of the order as well."""

    uid: Uid
    method: str
    status: str
    amount_minor: int
    refunded_minor: int
    currency: str
    paid_at: Moment | None


class AttendeeWithOrder(AttendeeTold):
    """An attendee with the event, order, invoice and payment behind the ticket."""

    event: Uid
    order: Uid
    order_code: str
    invoice_number: str | None
    payment: PaymentTold | None


def _told(row: Any) -> AttendeeTold:
    attendee, ticket = row
    return AttendeeTold(**_fields(attendee), ticket_type=ticket)


def _fields(attendee: Attendee) -> dict[str, Any]:
    return {
        name: getattr(attendee, name) for name in AttendeeTold.model_fields if name != "ticket_type"
    }


def _whole(details: AttendeeDetails) -> AttendeeWithOrder:
    invoice, payment = details.invoice, details.payment
    return AttendeeWithOrder(
        **_fields(details.attendee),
        ticket_type=details.ticket.name,
        event=details.event.uid,
        order=details.order.uid,
        order_code=details.order.code,
        invoice_number=None if invoice is None else invoice.number,
        payment=None if payment is None else PaymentTold.model_validate(payment),
    )


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
    details = listing.attendee_details(call.reading, attendee_uid)
    if details is None:
        raise Problem("not_found")
    return _whole(details)
