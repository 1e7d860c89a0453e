"""The steps of an order as rows: taken under the order's lock, each done once in effect.

A step that is carried out wholly in the database is one transaction: effect and row together. A
step that asks somebody outside has a lease while it asks, and a key that makes the asking safe to
repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.events.models import Event
from meet2be.events.selling import honours_orders
from meet2be.orders.models import STEPS, Order, OrderStep

OVER = ("done", "dropped")
LONGEST_ERROR = 500
BEFORE_SOLD = ("validate_order", "process_payment", "update_inventory")
AFTER_SOLD = tuple(step for step in STEPS if step not in BEFORE_SOLD)


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: ask again after so many seconds."""

    seconds: float


Outcome: TypeAlias = Literal["go", "stop"] | Wait
"""`go`: the step is done (now or before); `stop`: the chain has nothing more to do."""


@dataclass(slots=True)
class Taken:
    """An order and the step that is its turn, both locked until the commit."""

    order: Order
    step: OrderStep
    event: Event


def take(
    session: Session,
    order_uid: str,
    name: str,
    now: datetime,
    *,
    also: tuple[str, ...] = (),
) -> Taken | Outcome:
    """Lock the order and return the step if it is its turn, else what its chain does about it.

    `also` names states besides `todo` and `doing` in which the step may be taken up again.
    """
    order = session.scalar(
        select(Order).where(Order.uid == order_uid).with_for_update(key_share=True)
    )
    if order is None:
        return "stop"
    steps = steps_of(session, order.id)
    step = steps.get(name)
    if step is not None and step.state in OVER:
        return "go"
    before = [steps[each].state for each in STEPS[: STEPS.index(name)] if each in steps]
    is_its_turn = all(state in OVER for state in before)
    if step is None or not is_its_turn or step.state not in {"todo", "doing", *also}:
        return "stop"
    if step.state == "doing" and step.lease_until is not None and step.lease_until > now:
        return Wait(max(1.0, (step.lease_until - now).total_seconds()))
    return Taken(order, step, event_of(session, order))


def event_of(session: Session, order: Order) -> Event:
    """Return the order's event under a share lock.

    Whoever begins to cancel the event waits for this transaction, or is seen by it. An expired
    order counts the event's places anew, so it holds the row alone: of two that share it neither
    could go on to that.
    """
    wanted, is_alone = select(Event).where(Event.id == order.event_id), order.status == "expired"
    mine = wanted.with_for_update(read=not is_alone, key_share=is_alone)
    return session.scalars(mine.execution_options(populate_existing=True)).one()


def steps_of(session: Session, order_id: int) -> dict[str, OrderStep]:
    """Return an order's steps by name, in their order."""
    rows = session.scalars(select(OrderStep).where(OrderStep.order_id == order_id)).all()
    return {row.step: row for row in sorted(rows, key=lambda row: STEPS.index(row.step))}


def begin(step: OrderStep, now: datetime, lease: timedelta) -> None:
    """Mark a step as under way; whoever finds the lease over may take it up."""
    step.state, step.attempts, step.lease_until = "doing", step.attempts + 1, now + lease
    step.error = None


def finish(step: OrderStep, now: datetime, result: Mapping[str, Any] | None = None) -> None:
    """Mark a step as done."""
    if step.lease_until is None:
        step.attempts += 1
    step.state, step.error, step.lease_until, step.finished_at = "done", None, None, now
    step.result = {**step.result, **(result or {})}


def put_off(step: OrderStep, now: datetime, error: str, seconds: float) -> Wait:
    """Give a step back undone, saying what was in the way; nobody takes it up for `seconds`."""
    step.lease_until = now + timedelta(seconds=seconds)
    step.error = error[:LONGEST_ERROR]
    return Wait(seconds)


def is_put_off(step: OrderStep) -> bool:
    """Tell whether a step that is under way waits for its next try, and nobody works on it."""
    return step.state == "doing" and step.error is not None


def fail(step: OrderStep, now: datetime, error: str) -> None:
    """Mark a step as failed for good; a person, or the buyer, may have it tried again."""
    step.state, step.lease_until, step.finished_at = "failed", None, now
    step.error = error[:LONGEST_ERROR]


def why_unwanted(order: Order, event: Event, now: datetime) -> str | None:
    """Return why an order that is not paid yet should not go on, None when it should."""
    if order.status != "pending":
        return order.status
    if not honours_orders(event):
        return "event_closed"
    if order.expires_at is not None and order.expires_at <= now:
        return "expired"
    return None
