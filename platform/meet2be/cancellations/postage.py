"""The postage of a cancelled event's orders: it goes back with the tickets, to the buyer.

Items are of attendees; postage is of an order, beyond its tickets. So it goes back as a refund of
its own, opened in the commit that looks for it when the run comes to its end, and sent like any
refund of an order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.cancellations.context import RunContext
from meet2be.cancellations.models import CancelItem
from meet2be.cancellations.options import CancelOptions
from meet2be.events.models import Event
from meet2be.money import movable
from meet2be.orders.models import Order
from meet2be.payments.models import Payment, Refund
from meet2be.refunding.opening import Share, open_shares

REASON = "event_cancelled_postage"
"""The mark of such a refund: a payment has one at most, whatever becomes of it."""
BATCH = 20
LOOKED_AT = 100
"""Orders that a step looks at; one of an event of thousands must not look at all in each step."""


def postage_of(session: Session, event: Event, options: CancelOptions) -> dict[str, int]:
    """Return by currency what of the event's postage would go back, in minor units; reads only.

    Nothing in manual mode. A currency whose postage is all unpaid has 0.
    """
    if options.refund_mode != "auto":
        return {}
    is_in = exists().where(Attendee.order_id == Order.id, Attendee.status != "cancelled")
    found: defaultdict[str, int] = defaultdict(int)
    for row in session.execute(_unreturned(event.id).where(is_in)):
        is_due = row.status == "succeeded" and row.test_mode == event.test_mode
        found[row.currency] += _due(row) if is_due else 0
    return dict(found)


def pay_postage_back(
    session: Session, context: RunContext, now: datetime, first: int = 0
) -> int | None:
    """Open the refund of some orders' postage; return from which order's number to go on.

    None when all have been looked at. Looks at some from the number ``first`` on, at such that the
    run has cancelled tickets of. What is there already is not opened again. The caller commits.
    """
    if not context.has_postage or context.options.refund_mode != "auto":
        return None
    # By the attendees, as there is an index of their orders and of their items.
    is_of_run = exists().where(
        Attendee.order_id == Order.id, CancelItem.attendee_id == Attendee.id,
        CancelItem.run_id == context.run_id,
    )  # fmt: skip
    wanted = (
        _unreturned(context.event_id)
        .where(
            is_of_run, Order.status == "cancelled", Payment.status == "succeeded",
            Payment.test_mode.is_(context.test_mode), Payment.order_id >= first,
        )
        .order_by(Payment.order_id, Payment.id)
        .limit(LOOKED_AT)
    )  # fmt: skip
    rows, opened = session.execute(wanted).all(), 0
    for row in rows:
        if opened == BATCH:
            return int(row.order_id)
        due = _due(row)
        if due:
            _open(session, context, row.id, due, now)
            opened += 1
    return max(int(rows[-1].order_id), first + 1) if len(rows) == LOOKED_AT else None


def _unreturned(event_id: int) -> Select[Any]:
    """Return the payments of orders with postage, those left out that have this refund."""
    tickets = select(func.coalesce(func.sum(Attendee.price_minor), 0)).where(
        Attendee.payment_id == Payment.id
    )
    # By the order, too, as SQLite else reads all refunds of the organisation for each payment.
    mine = (Refund.payment_id == Payment.id, Refund.order_id == Payment.order_id)
    others = select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(
        *mine, Refund.attendee_id.is_(None), Refund.run_id.is_(None), Refund.status != "failed",
    )  # fmt: skip
    is_marked = exists().where(*mine, Refund.reason == REASON)
    return (
        select(
            Payment.id, Payment.currency, Payment.status, Payment.test_mode, Payment.amount_minor,
            (Payment.amount_minor - Payment.reserved_minor - Payment.refunded_minor).label("left"),
            Payment.order_id, Order.shipping_minor, tickets.scalar_subquery().label("tickets"),
            others.scalar_subquery().label("others"),
        )
        .join(Order, Order.id == Payment.order_id)
        .where(Order.event_id == event_id, Order.shipping_minor > 0, ~is_marked)
    )  # fmt: skip


def _due(row: Any) -> int:
    """Return what of a payment is postage, was not paid back and can be moved."""
    beyond = row.amount_minor - int(row.tickets) - int(row.others)
    return movable(max(0, min(row.shipping_minor, beyond, row.left)), row.currency)


def _open(
    session: Session, context: RunContext, payment_id: int, due: int, now: datetime
) -> Sequence[int]:
    payment = session.get_one(Payment, payment_id)
    return open_shares(
        session, payment, [Share(due)], now,
        source="organiser", reason=REASON, by=context.confirmed_by, invoice_id=payment.invoice_id,
    )  # fmt: skip
