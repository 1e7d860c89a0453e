"""Taking an order back: what its steps did is undone in reverse, each once.

Stock goes back, tickets are cancelled, parcels are void, and every payment that came in is paid
back through the refund ledger; the buyer is told why.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.attendees.models import Attendee
from meet2be.audit.services import SYSTEM, Actor, record
from meet2be.checkout import stock
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.letters import apology, money_back
from meet2be.checkout.pages import look_soon
from meet2be.checkout.placing import announced
from meet2be.checkout.steps import steps_of
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event
from meet2be.mailings.services import post
from meet2be.money import movable
from meet2be.orders.models import Order, OrderStep, Shipment
from meet2be.payments.models import Payment, Refund
from meet2be.refunding.opening import Share, left_for, left_of, open_shares
from meet2be.webhooks.publishing import publish


def unwind(
    session: Session,
    desk: CheckoutDesk,
    order: Order,
    status: str,
    why: str,
    now: datetime,
    *,
    actor: Actor = SYSTEM,
    by: int | None = None,
) -> None:
    """Take an order back, whose row is locked, and end it as `cancelled` or `failed`.

    The caller commits. A second call finds nothing left to take back. Steps that come later see
    that the order is over.
    """
    paid_back = pay_back_all(session, order, now, why, by=by)
    was = order.status
    steps = steps_of(session, order.id)
    for step in reversed(steps.values()):
        _undo(session, order, step, now, paid_back=paid_back > 0)
    stock.release(session, order)
    look_soon(session, order, now)
    order.status, order.problem, order.payment_method = status, why, None
    order.placed_from = None
    order.cancelled_at = now if status == "cancelled" else order.cancelled_at
    event = session.get_one(Event, order.event_id)
    if was == status:
        return
    record(
        session, actor, f"order.{status}", "order", order.uid,
        before={"status": was}, after={"status": status, "why": why, "paid_back": paid_back},
    )  # fmt: skip
    data: dict[str, Any] = {} if status == "cancelled" else {"step": _stuck(steps), "code": why}
    publish(session, announced(order, status, now, **data))
    facts.note(session, EventDataStale(event.uid))
    if order.buyer_email and (paid_back or was == "paid"):
        draft = apology(session, desk, order, event, why, paid_back)
        post(session, draft, now)


def pay_back_all(
    session: Session, order: Order, now: datetime, why: str, *, by: int | None = None
) -> int:
    """Open refunds for all that came in for an order; return their sum in minor units.

    Shares of tickets that were not paid back yet go to their attendees, the rest to nobody.
    """
    opened = 0
    payments = select(Payment).where(Payment.order_id == order.id).order_by(Payment.id)
    for payment in session.scalars(payments):
        left = left_of(session, payment.id)
        shares, rest = [], left
        mine = select(Attendee).where(Attendee.payment_id == payment.id).order_by(Attendee.id)
        for attendee in session.scalars(mine):
            owed = min(rest, left_for(session, payment.id, attendee.id))
            open_amount = movable(owed, payment.currency)
            if open_amount > 0:
                shares.append(Share(open_amount, attendee.id))
                rest -= open_amount
        shares.append(Share(rest))
        open_shares(
            session, payment, shares, now,
            source="chain" if by is None else "organiser", reason=why, by=by,
            invoice_id=payment.invoice_id,
        )  # fmt: skip
        opened += left
    return opened


def extras(order: Order, paid: Sequence[Payment], chosen: str | None) -> list[Payment]:
    """Return which of an order's successful payments it has no use for.

    Once it is sold, those that its invoice does not stand on; before, all but the `chosen` one
    (its uid), or the first. Of an order that is over and was never sold, all.
    """
    if order.paid_at is not None:
        return [each for each in paid if each.invoice_id is None]
    if order.status in {"cancelled", "failed"}:
        return list(paid)
    kept = next((each for each in paid if each.uid == chosen), paid[0] if paid else None)
    return [each for each in paid if each is not kept]


def pay_back_extras(
    session: Session, desk: CheckoutDesk, order: Order, wrong: Sequence[Payment], now: datetime
) -> None:
    """Pay back what an order has no use for, each payment once, and tell its buyer.

    One that has a refund already, whatever became of it, is a person's to decide.
    """
    is_over = order.status in {"cancelled", "failed"} and order.paid_at is None
    reason = (order.problem or order.status) if is_over else "paid_twice"
    for payment in wrong:
        known = select(Refund.id).where(Refund.payment_id == payment.id).limit(1)
        amount = left_of(session, payment.id)
        if not amount or session.scalar(known) is not None:
            continue
        share = Share(amount)
        open_shares(session, payment, [share], now, source="chain", reason=reason)
        if order.buyer_email:
            post(session, money_back(session, desk, order, reason, amount, payment.uid), now)


def cancel_ticket(session: Session, attendee: Attendee, now: datetime) -> bool:
    """Cancel one ticket and put it back on sale; False when it was cancelled before."""
    held = {"key_share": True}
    locked = session.get_one(Attendee, attendee.id, with_for_update=held, populate_existing=True)
    if locked.status == "cancelled":
        return False
    locked.status, locked.cancelled_at = "cancelled", now
    session.flush()
    stock.give_back(session, locked.order_id, locked.ticket_type_id)
    return True


def _undo(
    session: Session, order: Order, step: OrderStep, now: datetime, *, paid_back: bool
) -> None:
    if step.step == "process_payment" and step.state == "doing":
        # It may have been taken: the order's chain, or who tends it, looks it up.
        return
    if step.state in {"todo", "doing", "waiting"}:
        step.state, step.lease_until = "dropped", None
        return
    if step.state != "done":
        return
    if step.step == "process_payment" and paid_back:
        step.state = "compensated"
    elif step.step == "update_inventory":
        for attendee in session.scalars(select(Attendee).where(Attendee.order_id == order.id)):
            cancel_ticket(session, attendee, now)
        step.state = "compensated"
    elif step.step == "create_shipping_label":
        shipment = session.scalar(select(Shipment).where(Shipment.order_id == order.id))
        if shipment is not None:
            shipment.status = "void"
        step.state = "compensated"


def _stuck(steps: dict[str, OrderStep]) -> str:
    return next((name for name, step in steps.items() if step.state == "failed"), "")
