"""Orders as pages show them: the list, one order with all that belongs to it, the buyer's view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.audit.models import AuditEntry
from meet2be.checkout.steps import steps_of
from meet2be.db.keyset import Order as By
from meet2be.db.keyset import Page, Slice, fetch_merged
from meet2be.events.listing import ticket_types
from meet2be.events.models import Event, TicketType
from meet2be.mailings.addresses import normal_form
from meet2be.mailings.models import Mail
from meet2be.orders.models import ORDER_STATUSES, Order, OrderLine, OrderStep, Shipment
from meet2be.payments.models import Payment, Refund
from meet2be.payments.provider import PAGE_METHOD
from meet2be.tenancy.models import Tenant

NEWEST_FIRST = By((Order.id,), descending=True)
MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """What of the orders is shown; empty strings leave all in."""

    status: str = ""
    event: str = ""
    search: str = ""


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """One order with everything that is known of it."""

    order: Order
    event: Event
    lines: Sequence[Any]
    attendees: Sequence[Attendee]
    payments: Sequence[Payment]
    refunds: Sequence[Refund]
    mails: Sequence[Mail]
    steps: dict[str, OrderStep]
    shipment: Shipment | None
    log: Sequence[AuditEntry]


def orders_page(session: Session, wanted: Filter, part: Slice) -> Page:
    """Return a page of (order, event) pairs, the newest first.

    The search finds an order by its whole code or its buyer's whole address.
    """
    statement = select(Order, Event).join(Event, Event.id == Order.event_id)
    if wanted.event:
        event_id = session.scalar(select(Event.id).where(Event.uid == wanted.event)) or 0
        statement = statement.where(Order.event_id == event_id)
    statements = [
        statement.where(name, status) for name in _named(wanted) for status in _statuses(wanted)
    ]
    return fetch_merged(session, statements, NEWEST_FIRST, part, whole_rows=True)


def _named(wanted: Filter) -> Sequence[ColumnElement[bool]]:
    if not wanted.search:
        return [true()]
    code, address = wanted.search.strip().upper(), normal_form(wanted.search)
    return [Order.code == code, Order.buyer_email_norm == address]


def _statuses(wanted: Filter) -> Sequence[ColumnElement[bool]]:
    if wanted.status in ORDER_STATUSES:
        return [Order.status == wanted.status]
    if wanted.event and not wanted.search:
        # The index of an event's orders goes on with their status.
        return [Order.status == status for status in ORDER_STATUSES]
    return [true()]


def position_of(session: Session, uid: str) -> tuple[object, ...] | None:
    """Return where an order stands in the list; None when it is not the tenant's."""
    found = session.scalar(select(Order.id).where(Order.uid == uid))
    return None if found is None else (found,)


def details_of(session: Session, uid: str) -> OrderDetails | None:
    """Return an order with all that belongs to it, None when it is not the tenant's."""
    order = session.scalar(select(Order).where(Order.uid == uid))
    if order is None:
        return None
    lines = session.execute(
        select(OrderLine, TicketType)
        .join(TicketType, TicketType.id == OrderLine.ticket_type_id)
        .where(OrderLine.order_id == order.id)
        .order_by(OrderLine.id)
    ).all()
    return OrderDetails(
        order,
        session.get_one(Event, order.event_id),
        lines,
        _of(session, Attendee, order),
        _of(session, Payment, order),
        _of(session, Refund, order),
        _mails(session, order),
        steps_of(session, order.id),
        session.scalar(select(Shipment).where(Shipment.order_id == order.id)),
        session.scalars(
            select(AuditEntry)
            .where(AuditEntry.object_type == "order", AuditEntry.object_id == order.uid)
            .order_by(AuditEntry.id.desc())
            .limit(MOST_SHOWN)
        ).all(),
    )


def _of(session: Session, model: Any, order: Order) -> Sequence[Any]:
    mine = select(model).where(model.order_id == order.id).order_by(model.id)
    return session.scalars(mine.limit(MOST_SHOWN)).all()


def _mails(session: Session, order: Order) -> Sequence[Mail]:
    mine = (Mail.related_type == "order", Mail.related_id == order.id)
    return session.scalars(select(Mail).where(*mine).order_by(Mail.id).limit(MOST_SHOWN)).all()


@dataclass(frozen=True, slots=True)
class Box:
    """What the public page of an event shows."""

    tenant: Tenant
    event: Event
    tickets: Sequence[TicketType]


def box_of(session: Session, tenant: Tenant, slug: str, hidden: str = "") -> Box | None:
    """Return an event that is on sale, with its tickets; None for any other.

    Closed kinds are left out, and hidden ones but for the one that `hidden` names.
    """
    event = session.scalar(select(Event).where(Event.slug == slug))
    if event is None or event.status != "live" or tenant.status != "active":
        return None
    kinds = ticket_types(session, event.id)
    shown = [each for each in kinds if not each.is_hidden or each.uid == hidden]
    return Box(tenant, event, [each for each in shown if each.closed_at is None])


def is_taken_off(session: Session, slug: str) -> bool:
    """Tell whether an event of that name was on its public page, and is not any more."""
    event = session.scalar(select(Event).where(Event.slug == slug))
    return event is not None and event.status == "draft" and event.unpublished_at is not None


@dataclass(frozen=True, slots=True)
class BuyersView:
    """What a buyer sees of the own order."""

    order: Order
    event: Event
    payment: OrderStep | None
    attendees: Sequence[Attendee]
    shipment: Shipment | None
    paid_back_minor: int

    @property
    def stage(self) -> str:
        """One word for what the buyer waits for, or has."""
        state = self.payment.state if self.payment is not None else "done"
        if self.order.status != "pending":
            return self.order.status
        if self.payment is not None and state == "waiting" and self.is_on_page:
            return "page"
        return {"failed": "declined", "waiting": "asked"}.get(state, "working")

    @property
    def is_on_page(self) -> bool:
        """Tell whether it is paid, or was to be, on the provider's own page."""
        result = self.payment.result if self.payment is not None else {}
        return bool(result.get("waits_for") == PAGE_METHOD)

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing changes by itself any more."""
        return self.stage not in {"working", "asked", "page"}


def buyers_view(session: Session, slug: str, key: str) -> BuyersView | None:
    """Return the order of a buyer's key, if it is of that event."""
    order = session.scalar(select(Order).where(Order.buyer_key == key))
    event = None if order is None else session.get_one(Event, order.event_id)
    if order is None or event is None or event.slug != slug:
        return None
    refunds = _of(session, Refund, order)
    back = sum(each.amount_minor for each in refunds if each.status in {"succeeded", "pending"})
    return BuyersView(
        order,
        event,
        steps_of(session, order.id).get("process_payment"),
        _of(session, Attendee, order),
        session.scalar(select(Shipment).where(Shipment.order_id == order.id)),
        back,
    )
