"""Orders that were not paid in time: their tickets go back on sale."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, exists, or_, select
from sqlalchemy.orm import Session, aliased

from meet2be import facts
from meet2be.checkout import stock
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.placing import announced
from meet2be.checkout.steps import steps_of
from meet2be.orders.facts import OrderCanGoOn
from meet2be.orders.models import STEPS, Order, OrderStep
from meet2be.webhooks.publishing import publish

AT_ONCE = 200
STALE = timedelta(minutes=10)
"""A step that nobody has moved for so long is run again: its job was lost."""
GIVEN_UP = timedelta(days=3)
UNFINISHED = ("todo", "doing", "waiting", "failed")


def expire(session: Session, order: Order, now: datetime) -> None:
    """End the hold of an order whose row is locked; money that still comes tries its luck."""
    stock.release(session, order)
    if order.status != "pending":
        return
    order.status, order.problem = "expired", order.problem or "expired"
    order.placed_from = None
    publish(session, announced(order, "expired", now))


def expire_due_tx(desk: CheckoutDesk) -> int:
    """Expire the orders whose time is over, each in its own commit; return how many.

    One whose money is in keeps its tickets: what stands between it and them is ours to mend.
    """
    now = desk.clock.now()
    with desk.db.system_session("find orders whose time is over", read_only=True) as session:
        due = session.execute(
            select(Order.tenant_id, Order.id)
            .where(Order.status == "pending", Order.expires_at <= now, ~_is_paid_for())
            .order_by(Order.expires_at)
            .limit(AT_ONCE)
        ).all()
    expired = 0
    for tenant_id, order_id in due:
        with desk.db.tenant_session(tenant_id) as session:
            order = session.get_one(Order, order_id, with_for_update={"key_share": True})
            is_due = order.expires_at is not None and order.expires_at <= now
            is_due = is_due and steps_of(session, order.id)["process_payment"].state != "done"
            if order.status == "pending" and is_due:
                expire(session, order, now)
                expired += 1
            session.commit()
    return expired


def resume_stale_tx(desk: CheckoutDesk) -> int:
    """Let orders go on whose first unfinished step nobody has moved; return how many.

    The one that stands longest comes first, so that none waits behind others for ever.
    """
    now = desk.clock.now()
    before = aliased(OrderStep)
    is_first = ~exists().where(
        before.order_id == OrderStep.order_id,
        before.state.in_(UNFINISHED),
        _place(before) < _place(OrderStep),
    )
    with desk.db.system_session("find orders that stand still", read_only=True) as session:
        stale = session.execute(
            select(Order.tenant_id, Order.uid)
            .join(OrderStep, OrderStep.order_id == Order.id)
            .where(
                OrderStep.state.in_(("todo", "doing")),
                OrderStep.updated_at < now - STALE,
                OrderStep.updated_at > now - GIVEN_UP,
                or_(OrderStep.lease_until.is_(None), OrderStep.lease_until <= now),
                or_(Order.status.in_(("pending", "paid", "expired")), OrderStep.state == "doing"),
                is_first,
            )
            .order_by(OrderStep.updated_at, OrderStep.id)
            .limit(AT_ONCE)
        ).all()
    for tenant_id, uid in stale:
        with desk.db.tenant_session(tenant_id) as session:
            session.connection()
            facts.note(session, OrderCanGoOn(uid))
            session.commit()
    return len(stale)


def _is_paid_for() -> Any:
    step = aliased(OrderStep)
    is_paid = (step.step == "process_payment", step.state == "done")
    return exists().where(step.order_id == Order.id, *is_paid)


def _place(step: Any) -> Any:
    """Return where a step stands among the steps of its order."""
    return case({name: place for place, name in enumerate(STEPS)}, value=step.step)
