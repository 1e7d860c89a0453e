"""Questions and last words of the links of an order's chain."""

from __future__ import annotations

from sqlalchemy import select

from meet2be.checkout import steps as rows
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.telling import needs_attention
from meet2be.orders.models import Order

UNKNOWN_WAIT = 600.0
"""Seconds until a payment whose job was given up is looked up again."""


def ships_tx(desk: CheckoutDesk, tenant_id: int, order_uid: str) -> bool:
    """Tell whether the order has steps of shipping that are not dropped."""
    with desk.db.tenant_session(tenant_id, read_only=True) as session:
        order = session.scalars(select(Order).where(Order.uid == order_uid)).one()
        return rows.steps_of(session, order.id)["calculate_shipping"].state != "dropped"


def give_up_tx(desk: CheckoutDesk, tenant_id: int, order_uid: str, step: str, why: str) -> None:
    """Mark a step as failed, after all tries of its job, and have a person look at the order.

    A payment that was begun stays under way: whether it was taken is found out, not assumed.
    """
    now = desk.clock.now()
    with desk.db.tenant_session(tenant_id) as session:
        mine = select(Order).where(Order.uid == order_uid).with_for_update(key_share=True)
        order = session.scalar(mine)
        if order is None:
            return
        row = rows.steps_of(session, order.id).get(step)
        if row is None or row.state not in {"todo", "doing"}:
            return
        if step == "process_payment" and row.state == "doing":
            rows.put_off(row, now, why, UNKNOWN_WAIT)
        else:
            rows.fail(row, now, why)
        needs_attention(session, order, "step_failed", now)
        session.commit()
