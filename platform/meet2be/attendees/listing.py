"""Attendees as pages show them: searched, filtered, and one with what belongs to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from meet2be.attendees.models import ATTENDEE_STATUSES, Attendee
from meet2be.db.keyset import Order, Page, Slice, count_up_to, fetch_page
from meet2be.events.models import Event, TicketType
from meet2be.invoices.models import Invoice
from meet2be.mailings.addresses import normal_form
from meet2be.orders.models import Order as CustomerOrder
from meet2be.payments.models import Payment

BY_NAME = Order((Attendee.name, Attendee.id))
NO_ADDRESS, REFUNDED = "no_address", "refunded"
FILTERS = (*ATTENDEE_STATUSES, NO_ADDRESS, REFUNDED)
LONGEST_SEARCH = 200


@dataclass(frozen=True, slots=True)
class AttendeeSearch:
    """Which attendees of an event are wanted; empty strings leave all in.

    ``words`` is a part of a name, address, ticket or company; ``state`` one of ``FILTERS``.
    """

    words: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class AttendeeDetails:
    """One attendee with the order, invoice and payment behind the ticket."""

    attendee: Attendee
    event: Event
    order: CustomerOrder
    ticket: TicketType
    invoice: Invoice | None
    payment: Payment | None


def attendees_page(session: Session, event_id: int, search: AttendeeSearch, part: Slice) -> Page:
    """Return a page of (attendee, ticket's name), by name."""
    statement = found_attendees(event_id, search).add_columns(TicketType.name)
    statement = statement.join(
        TicketType,
        and_(TicketType.tenant_id == Attendee.tenant_id, TicketType.id == Attendee.ticket_type_id),
    )
    return fetch_page(session, statement, BY_NAME, part, whole_rows=True)


def count_attendees(session: Session, event_id: int, search: AttendeeSearch) -> tuple[int, bool]:
    """Return how many there are, and whether that is exact: it counts to 10,000 only."""
    return count_up_to(session, found_attendees(event_id, search).with_only_columns(Attendee.id))


def position_of(session: Session, uid: str) -> tuple[object, ...] | None:
    """Return where an attendee stands in the list; None when they are gone."""
    row = session.execute(
        select(Attendee.name, Attendee.id).where(Attendee.uid == uid)
    ).one_or_none()
    return None if row is None else tuple(row)


def attendee_details(session: Session, uid: str) -> AttendeeDetails | None:
    """Return one attendee of the tenant with what belongs to them."""
    row = session.execute(
        select(Attendee, Event, CustomerOrder, TicketType, Invoice, Payment)
        .join(Event, and_(Event.tenant_id == Attendee.tenant_id, Event.id == Attendee.event_id))
        .join(
            CustomerOrder,
            and_(
                CustomerOrder.tenant_id == Attendee.tenant_id,
                CustomerOrder.id == Attendee.order_id,
            ),
        )
        .join(
            TicketType,
            and_(
                TicketType.tenant_id == Attendee.tenant_id,
                TicketType.id == Attendee.ticket_type_id,
            ),
        )
        .outerjoin(
            Invoice,
            and_(Invoice.tenant_id == Attendee.tenant_id, Invoice.id == Attendee.invoice_id),
        )
        .outerjoin(
            Payment,
            and_(Payment.tenant_id == Attendee.tenant_id, Payment.id == Attendee.payment_id),
        )
        .where(Attendee.uid == uid)
    ).one_or_none()
    return None if row is None else AttendeeDetails(*row)


def found_attendees(event_id: int, search: AttendeeSearch) -> Select[Any]:
    """Return the statement that finds an event's attendees, in no order."""
    statement = select(Attendee).where(Attendee.event_id == event_id)
    if search.words:
        statement = statement.where(or_(*_holds(search.words[:LONGEST_SEARCH])))
    if search.state == NO_ADDRESS:
        statement = statement.where(Attendee.email.is_(None))
    elif search.state == REFUNDED:
        statement = statement.where(Attendee.refunded_minor > 0)
    elif search.state:
        statement = statement.where(Attendee.status == search.state)
    return statement


def _holds(words: str) -> Iterator[ColumnElement[bool]]:
    yield Attendee.email_norm.contains(normal_form(words), autoescape=True)
    yield Attendee.ticket_code.icontains(words, autoescape=True)
    yield Attendee.company.icontains(words, autoescape=True)
    # SQLite knows capital letters of ASCII only: "öl" must find "Ölaf" there too.
    for spelling in dict.fromkeys((words, words.lower(), words.title())):
        yield Attendee.name.icontains(spelling, autoescape=True)
