"""Money that came in for an order: which payment it keeps, and which go back to the buyer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.checkout import steps as rows
from meet2be.checkout.desk import PAGE_GRACE, CheckoutDesk
from meet2be.checkout.pages import STEP, look_soon
from meet2be.checkout.steps import Outcome, Taken
from meet2be.checkout.unwinding import extras, pay_back_extras
from meet2be.orders.models import Order
from meet2be.payments.models import Payment


def is_at_its_end(order: Order, now: datetime) -> bool:
    """Tell whether the page was open for as long as the tickets are kept, less the grace."""
    return order.expires_at is not None and order.expires_at - 2 * PAGE_GRACE <= now


def money_is_in(
    session: Session, desk: CheckoutDesk, taken: Taken, paid: Sequence[Payment], now: datetime
) -> Outcome:
    """Let one payment be the order's, pay the others back; say how the chain goes on."""
    order, chosen = taken.order, taken.step.result.get("payment")
    wrong = extras(order, paid, chosen)
    pay_back_extras(session, desk, order, wrong, now)
    kept = next((each for each in paid if each not in wrong), None)
    look_soon(session, order, now)  # nobody should pay on its other pages
    if kept is None:
        rows.finish(taken.step, now, {"payment": paid[0].uid, "late": True})
        taken.step.state = "compensated"
        return "stop"
    rows.finish(taken.step, now, {"payment": kept.uid, "late": order.status == "expired"})
    order.payment_method, order.problem = None, None
    return "go"


def pay_back_needless(session: Session, desk: CheckoutDesk, order_uid: str, now: datetime) -> None:
    """Pay back what came in for an order that is paid, or over: of two tabs, the second."""
    order = session.scalar(select(Order).where(Order.uid == order_uid))
    if order is None:
        return
    step = rows.steps_of(session, order.id)[STEP]
    paid = [each for each in payments_of(session, order) if each.status == "succeeded"]
    pay_back_extras(session, desk, order, extras(order, paid, step.result.get("payment")), now)


def payments_of(session: Session, order: Order) -> Sequence[Payment]:
    """Return an order's payments, the first first, locked until the commit."""
    mine = select(Payment).where(Payment.order_id == order.id).order_by(Payment.id)
    return session.scalars(mine.with_for_update(key_share=True)).all()
