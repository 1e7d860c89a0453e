"""Orders: listed, one with all that belongs to it, mailed again, paid back, cancelled."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from meet2be.checkout import cancelling as verbs
from meet2be.checkout import listing
from meet2be.checkout.listing import Filter
from meet2be.events.models import Event
from meet2be.orders.models import Order
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import Done, Given, ListQuery, Moment, Page, Text, Told, Uid

Status = Literal["draft", "pending", "paid", "cancelled", "expired", "failed"]
Step = Literal[
    "validate_order", "process_payment", "update_inventory", "calculate_shipping",
    "create_shipping_label", "send_confirmation", "notify_warehouse",
]  # fmt: skip


class OrderQuery(ListQuery):
    """Which orders; `q` is an order's whole code or its buyer's whole address."""

    status: Status | None = None
    event: Annotated[str, Field(max_length=26)] = ""
    q: Annotated[str, Field(max_length=320)] = ""


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


class Why(Given):
    """Why an order is cancelled; it goes into the audit log."""

    reason: Annotated[Text, Field(min_length=1, max_length=2000)]


class RefundWish(Given):
    """Which tickets of an order are paid back, in full."""

    attendees: list[Uid] = Field(min_length=1, max_length=200)
    cancel: bool = Field(default=False, description="Cancel the tickets as well.")
    reason: Annotated[Text, Field(min_length=1, max_length=2000)]


class RefundedTold(Told):
    """What is on its way back, in minor units of the order's currency."""

    amount_minor: int


@operation("GET", "/orders", "orders:read")
def list_orders(call: Call, query: OrderQuery) -> Page[OrderTold]:
    """List orders, the newest first."""
    wanted = Filter(query.status or "", query.event, query.q)
    found = listing.orders_page(call.reading, wanted, call.part(query))
    return call.page(query, found, lambda row: (row[0].id,), lambda row: OrderTold(**_fields(*row)))


@operation("GET", "/orders/<order_uid>", "orders:read")
def get_order(call: Call, order_uid: str) -> OrderWithAll:
    """Give one order with all that belongs to it."""
    found = listing.details_of(call.reading, order_uid)
    if found is None:
        raise Problem("not_found")
    own = set(LineTold.model_fields) - {"ticket_type"}
    return OrderWithAll(
        **_fields(found.order, found.event),
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


@operation("POST", "/orders/<order_uid>/resend", "orders:write", status=202,
           problems=("conflict",))  # fmt: skip
def resend_order(call: Call, order_uid: str) -> Done:
    """Mail the confirmation once more; it counts in the buyer's limit like any mail."""
    verbs.mail_again(call.writing, call.services.checkout, order_uid, call.caller.user_id)
    return Done(status="accepted")


@operation("POST", "/orders/<order_uid>/refund", "orders:write", status=202,
           problems=("conflict",))  # fmt: skip
def refund_order(call: Call, order_uid: str, body: RefundWish) -> RefundedTold:
    """Pay tickets of an order back, one refund each, and cancel them if wanted."""
    total = verbs.refund_tickets(
        call.writing,
        call.services.checkout,
        order_uid,
        body.attendees,
        call.caller.user_id,
        body.reason,
        cancel=body.cancel,
    )
    return RefundedTold(amount_minor=total)


@operation("POST", "/orders/<order_uid>/cancel", "orders:write", status=202,
           problems=("conflict",))  # fmt: skip
def cancel_order(call: Call, order_uid: str, body: Why) -> OrderTold:
    """Cancel an order: all that its steps have done is taken back."""
    order = verbs.cancel_order(
        call.writing, call.services.checkout, order_uid, call.caller.user_id, body.reason
    )
    call.writing.flush()
    return OrderTold(**_fields(order, call.writing.get_one(Event, order.event_id)))


@operation("POST", "/orders/<order_uid>/steps/<step>/retry", "orders:write", status=202,
           problems=("conflict",))  # fmt: skip
def retry_order_step(call: Call, order_uid: str, step: str) -> Done:
    """Have a step that failed, or stands still, tried again."""
    desk = call.services.checkout
    verbs.retry_step(call.writing, desk, order_uid, step, call.caller.user_id)
    return Done(status="accepted")


def _fields(order: Order, event: Event) -> dict[str, Any]:
    own = set(OrderTold.model_fields) - {"event"}
    return {**{name: getattr(order, name) for name in own}, "event": event.uid}
