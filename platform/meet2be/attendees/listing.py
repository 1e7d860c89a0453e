"""Attendees as pages show them: searched, filtered, and one with what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Select, and_, literal, select, union_all
from sqlalchemy.orm import Session

from meet2be.attendees.finding import BY_NAME, Found
from meet2be.attendees.models import ATTENDEE_STATUSES, Attendee
from meet2be.attendees.searching import (
    FILTERS,
    LONGEST_SEARCH,
    AttendeeSearch,
    rows_that_fit,
)
from meet2be.db.keyset import Order, Page, Slice
from meet2be.events.models import Event, TicketType
from meet2be.invoices.models import Invoice
from meet2be.orders.models import Order as CustomerOrder
from meet2be.payments.models import Payment

__all__ = [
    "FILTERS", "LONGEST_SEARCH", "SORTS", "AttendeeDetails", "AttendeeList", "AttendeeSearch",
    "attendee_details", "found_attendees", "order_of", "place_of", "position_of",
]  # fmt: skip

Place = tuple[object, ...]
_BY = {
    "name": BY_NAME.columns,
    "email": (Attendee.email_key, Attendee.id),
    "registered": (Attendee.id,),
    "state": (Attendee.status, Attendee.name_key, Attendee.id),
    "ticket": (Attendee.ticket_type_id, Attendee.name_key, Attendee.id),
}
SORTS: Final[Mapping[str, Order]] = {
    f"{sign}{name}": Order(columns, descending=bool(sign))
    for name, columns in _BY.items()
    for sign in ("", "-")
}
"""Orders by their names in addresses; a minus is the other way round."""


@dataclass(frozen=True, slots=True)
class AttendeeDetails:
    """One attendee with the order, invoice and payment behind the ticket."""

    attendee: Attendee
    event: Event
    order: CustomerOrder
    ticket: TicketType
    invoice: Invoice | None
    payment: Payment | None


def order_of(search: AttendeeSearch, sort: str) -> Order:
    """Return the order of that name; among people of one state, that by state is that by name."""
    if search.state in ATTENDEE_STATUSES:
        sort = {"state": "name", "-state": "-name"}.get(sort, sort)
    return SORTS[sort]


class AttendeeList:
    """The attendees of an event that a search finds: their pages, and how many they are."""

    def __init__(self, session: Session, event_id: int, search: AttendeeSearch) -> None:
        self._session = session
        self._search = search
        self._found = Found(session, event_id, search)

    def page(self, part: Slice, sort: str = "name") -> Page:
        """Return a page of (attendee, ticket's name) in one of the orders of ``SORTS``."""
        page = self._found.page(order_of(self._search, sort), part)
        return replace(page, rows=_rows(self._session, page.rows))

    def count(self) -> tuple[int, bool]:
        """Return how many there are, and whether that is exact: it counts to 10,000 only.

        Where several conditions are each true of more, it counts among the list's first people.
        """
        return self._found.count()


def position_of(session: Session, uid: str, order: Order = BY_NAME) -> Place | None:
    """Return where an attendee stands in a list of that order; None when they are gone."""
    row = session.execute(select(*order.columns).where(Attendee.uid == uid)).one_or_none()
    return None if row is None else tuple(row)


def place_of(attendee: Attendee, order: Order) -> Place:
    """Return where this attendee stands in a list of that order."""
    return tuple(getattr(attendee, column.key) for column in order.columns)


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
    """Return the statement that finds an event's attendees for a file, row after row."""
    return select(Attendee).where(Attendee.event_id == event_id, *rows_that_fit(search))


def _rows(session: Session, numbers: Sequence[int]) -> list[Any]:
    """Return (attendee, ticket's name) of these numbers, in their order."""
    if not numbers:
        return []
    # An outer join begins with the numbers; of a list of them SQLite would think that it is
    # longer than all attendees of the tenant are, see `db.hints`.
    listed = union_all(*(select(literal(number).label("id")) for number in numbers)).subquery()
    found = session.execute(
        select(Attendee, TicketType.name)
        .select_from(listed)
        .outerjoin(Attendee, Attendee.id == listed.c.id)
        .outerjoin(TicketType, TicketType.id == Attendee.ticket_type_id)
    )
    by_number: dict[int, Any] = {attendee.id: (attendee, ticket) for attendee, ticket in found}
    return [by_number[number] for number in numbers]
