"""Attendees, with what stands behind their tickets."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.orm import Session

from meet2be.attendees import listing
from meet2be.attendees.listing import AttendeeDetails
from meet2be.attendees.models import Attendee
from meet2be.objects.base import Moment, Told, Uid

Status = Literal["active", "cancelled", "checked_in", "transferred"]


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


def attendee_fields(attendee: Attendee) -> dict[str, Any]:
    """Return what an attendee's own row says."""
    return {
        name: getattr(attendee, name) for name in AttendeeTold.model_fields if name != "ticket_type"
    }


def _whole(details: AttendeeDetails) -> AttendeeWithOrder:
    invoice, payment = details.invoice, details.payment
    return AttendeeWithOrder(
        **attendee_fields(details.attendee),
        ticket_type=details.ticket.name,
        event=details.event.uid,
        order=details.order.uid,
        order_code=details.order.code,
        invoice_number=None if invoice is None else invoice.number,
        payment=None if payment is None else PaymentTold.model_validate(payment),
    )


def attendee_told(session: Session, uid: str) -> AttendeeWithOrder | None:
    """Return an attendee; None when there is none."""
    details = listing.attendee_details(session, uid)
    return None if details is None else _whole(details)
