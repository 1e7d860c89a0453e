"""Orders, with all that belongs to them."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.orm import Session

from meet2be.checkout import listing
from meet2be.events.models import Event
from meet2be.objects.base import Moment, Told, Uid
from meet2be.orders.models import Order

Status = Literal["draft", "pending", "paid", "cancelled", "expired", "failed"]
Step = Literal[
    "validate_order", "process_payment", "update_inventory", "calculate_shipping",
    "create_shipping_label", "send_confirmation", "notify_warehouse",
]  # fmt: skip


class OrderTold(Told):
    """What was bought in one go; the total in minor units of `currency`."""

    uid: Uid
    code: str
    event: Uid
    status: Status
    buyer_name: str
    buyer_email: str | None
    locale: str
    total_minor: int
    currency: str
    test_mode: bool
    created_at: Moment
    paid_at: Moment | None
    cancelled_at: Moment | None
    expires_at: Moment | None


class LineTold(Told):
    """So many tickets of a kind."""

    ticket_type: str
    quantity: int
    unit_minor: int
    fee_minor: int
    total_minor: int


class StepTold(Told):
    """How far one step of an order is."""

    step: Step
    state: Literal["todo", "doing", "waiting", "done", "failed", "compensated", "dropped"]
    attempts: int
    error: str | None
    finished_at: Moment | None


class ShipmentTold(Told):
    """The parcel of an order."""

    carrier: str
    parcel_no: str
    cost_minor: int
    currency: str
    status: str


class OrderWithAll(OrderTold):
    """An order with its lines, steps, and the names of what belongs to it."""

    lines: list[LineTold]
    steps: list[StepTold]
    attendees: list[Uid]
    payments: list[Uid]
    refunds: list[Uid]
    mails: list[Uid]
    shipment: ShipmentTold | None


def order_fields(order: Order, event: Event) -> dict[str, Any]:
    """Return what an order's own row says."""
    own = set(OrderTold.model_fields) - {"event"}
    return {**{name: getattr(order, name) for name in own}, "event": event.uid}


def order_told(session: Session, uid: str) -> OrderWithAll | None:
    """Return an order; None when there is none."""
    found = listing.details_of(session, uid)
    if found is None:
        return None
    own = set(LineTold.model_fields) - {"ticket_type"}
    return OrderWithAll(
        **order_fields(found.order, found.event),
        lines=[
            LineTold(**{name: getattr(line, name) for name in own}, ticket_type=ticket.name)
            for line, ticket in found.lines
        ],
        steps=[StepTold.model_validate(step) for step in found.steps.values()],
        attendees=[each.uid for each in found.attendees],
        payments=[each.uid for each in found.payments],
        refunds=[each.uid for each in found.refunds],
        mails=[each.uid for each in found.mails],
        shipment=None if found.shipment is None else ShipmentTold.model_validate(found.shipment),
    )
