"""What people do with orders: pay in another way, cancel, pay tickets back, mail again, retry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.attendees.models import Attendee
from meet2be.audit.services import Actor, record
from meet2be.checkout import steps as rows
from meet2be.checkout.desk import LONGEST_HOLD, CheckoutDesk
from meet2be.checkout.errors import BadWish, OrderNotInState, UnknownOrder
from meet2be.checkout.letters import confirmation, printed_before, tickets_refunded
from meet2be.checkout.pages import look_soon
from meet2be.checkout.placing import METHOD_FORM
from meet2be.checkout.tidying import files_of
from meet2be.checkout.unwinding import cancel_ticket, unwind
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event
from meet2be.language import Message
from meet2be.mailings.services import post
from meet2be.money import movable
from meet2be.orders.facts import OrderCanGoOn
from meet2be.orders.models import Order, OrderStep
from meet2be.payments.models import Payment
from meet2be.refunding.opening import Share, left_for, left_of, open_shares

# Which steps can be tried again while an order stands like this; once it is over, none.
_RETRIABLE = {
    "pending": rows.BEFORE_SOLD,
    "expired": rows.BEFORE_SOLD,
    "paid": rows.AFTER_SOLD,
}
# A payment that was under way then is looked up all the same.
_LOOKED_UP = ("process_payment",)


def find_order(session: Session, uid: str, *, lock: bool = False) -> Order:
    """Return the tenant's order; raises ``UnknownOrder``."""
    wanted = select(Order).where(Order.uid == uid)
    found = session.scalar(wanted.with_for_update(key_share=True) if lock else wanted)
    if found is None:
        raise UnknownOrder(uid)
    return found


def pay_again(session: Session, desk: CheckoutDesk, buyer_key: str, method: str) -> Order:
    """Let a buyer whose card failed, or whose payment waits, pay with another one.

    Raises ``UnknownOrder``, ``BadWish``, and ``OrderNotInState`` once it is paid or its time is
    over. The caller commits.
    """
    if not METHOD_FORM.fullmatch(method):
        raise BadWish("method", Message("Choose how to pay."))
    mine = select(Order).where(Order.buyer_key == buyer_key).with_for_update(key_share=True)
    order = session.scalar(mine)
    if order is None:
        raise UnknownOrder(buyer_key)
    step = rows.steps_of(session, order.id)["process_payment"]
    is_in_time = order.expires_at is None or order.expires_at > desk.clock.now()
    if order.status != "pending" or not is_in_time or step.state not in {"failed", "waiting"}:
        raise OrderNotInState(order.code, Message("This order cannot be paid any more, or is."))
    if order.created_at + LONGEST_HOLD <= desk.clock.now():
        raise OrderNotInState(order.code, Message("This order cannot be paid any more, or is."))
    order.payment_method, order.problem = method, None
    look_soon(session, order, desk.clock.now())
    step.state, step.error, step.result = "todo", None, {}
    facts.note(session, OrderCanGoOn(order.uid))
    return order


def cancel_order(
    session: Session, desk: CheckoutDesk, uid: str, by: int | None, reason: str
) -> Order:
    """Cancel an order, whatever its steps have done: all of it is taken back. The caller commits.

    Raises ``UnknownOrder``, and ``OrderNotInState`` for one that is over or has no steps.
    """
    order = find_order(session, uid, lock=True)
    if order.status not in {"pending", "paid", "expired"} or order.client_key is None:
        raise OrderNotInState(order.code, Message("This order is over already."))
    actor = Actor("system") if by is None else Actor("user", str(by))
    now = desk.clock.now()
    record(session, actor, "order.cancel", "order", order.uid, reason=reason)
    unwind(session, desk, order, "cancelled", "cancelled", now, actor=actor, by=by)
    return order


def refund_tickets(
    session: Session,
    desk: CheckoutDesk,
    uid: str,
    attendee_uids: Sequence[str],
    by: int,
    reason: str,
    *,
    cancel: bool,
) -> int:
    """Pay the chosen tickets back, one refund each, and cancel them if wanted.

    Returns the sum in minor units. Raises ``UnknownOrder``, and ``OrderNotInState`` when nothing of
    them is left to pay back. The caller commits.
    """
    order = find_order(session, uid, lock=True)
    now = desk.clock.now()
    chosen = session.scalars(
        select(Attendee)
        .where(Attendee.order_id == order.id, Attendee.uid.in_(attendee_uids))
        .order_by(Attendee.id)
        .with_for_update(key_share=True)
    ).all()
    paid_back, total = _pay_tickets_back(session, chosen, by, reason, now)
    for attendee in chosen if cancel else ():
        cancel_ticket(session, attendee, now)
    if not chosen or (not total and not cancel):
        raise OrderNotInState(order.code, Message("Nothing of these tickets is left to pay back."))
    event = session.get_one(Event, order.event_id)
    record(
        session, Actor("user", str(by)), "order.refund", "order", order.uid, reason=reason,
        after={"tickets": len(chosen), "amount_minor": total, "cancelled": cancel},
    )  # fmt: skip
    facts.note(session, EventDataStale(event.uid))
    if paid_back and order.buyer_email:
        turn = "-".join(str(attendee.id) for attendee in paid_back) + f":{now:%Y%m%d%H%M%S}"
        draft = tickets_refunded(session, desk, order, event, paid_back, total, turn)
        post(session, draft, now)
    return total


def _pay_tickets_back(
    session: Session, chosen: Sequence[Attendee], by: int, reason: str, now: datetime
) -> tuple[list[Attendee], int]:
    """Return whose tickets are paid back, and the sum in minor units.

    What is left of tickets below the step in which cards move their currency goes back together,
    as far as it makes a step.
    """
    paid_back, total = [], 0
    below: Counter[tuple[int, int | None]] = Counter()
    for attendee in chosen:
        if attendee.payment_id is None:
            continue
        payment, invoice_id = session.get_one(Payment, attendee.payment_id), attendee.invoice_id
        owed = left_for(session, payment.id, attendee.id)
        amount = movable(owed, payment.currency)
        if amount > 0:
            open_shares(
                session, payment, [Share(amount, attendee.id)], now,
                source="organiser", reason=reason, by=by, invoice_id=invoice_id,
            )  # fmt: skip
            paid_back.append(attendee)
            total += amount
            # Only now: of one that went back before, this may have gone back with others.
            below[payment.id, invoice_id] += owed - amount
    for (payment_id, invoice_id), rest in below.items():
        payment = session.get_one(Payment, payment_id)
        amount = movable(min(rest, left_of(session, payment_id)), payment.currency)
        open_shares(
            session, payment, [Share(amount)], now,
            source="organiser", reason=reason, by=by, invoice_id=invoice_id,
        )  # fmt: skip
        total += amount
    return paid_back, total


def mail_again(session: Session, desk: CheckoutDesk, uid: str, by: int) -> None:
    """Mail the confirmation once more; it counts in the buyer's limit like any mail.

    Raises ``UnknownOrder``, ``OrderNotInState`` unless the order is paid. The caller commits.
    """
    order = find_order(session, uid)
    if order.status != "paid" or not order.buyer_email:
        raise OrderNotInState(order.code, Message("Only a paid order has a confirmation."))
    now = desk.clock.now()
    event = session.get_one(Event, order.event_id)
    printed = printed_before(session, order)
    turn = f":{now:%Y%m%d%H%M%S}"
    post(session, confirmation(session, desk, order, event, printed, turn), now)
    record(session, Actor("user", str(by)), "order.mail_again", "order", order.uid)


def retry_step(session: Session, desk: CheckoutDesk, uid: str, name: str, by: int) -> None:
    """Have a step that failed, or waits for its next try, tried now.

    A payment that failed is the buyer's to try again. Raises ``UnknownOrder``,
    ``OrderNotInState``. The caller commits.
    """
    order = find_order(session, uid, lock=True)
    step = rows.steps_of(session, order.id).get(name)
    if step is None or not may_retry(order, step, desk.clock.now()):
        raise OrderNotInState(order.code, Message("There is nothing to try again in this step."))
    if step.state == "failed":
        # Files that it has made are still to be deleted, if no mail carries them in the end.
        step.state, step.result = "todo", files_of(step.result)
    step.lease_until = None
    record(
        session, Actor("user", str(by)), "order.retry_step", "order", order.uid,
        after={"step": name},
    )  # fmt: skip
    facts.note(session, OrderCanGoOn(order.uid))


def may_retry(order: Order, step: OrderStep, now: datetime) -> bool:
    """Tell whether a person may have a step tried again."""
    is_over = step.lease_until is None or step.lease_until <= now
    waits = step.state == "doing" and (rows.is_put_off(step) or is_over)
    failed = step.state == "failed" and step.step != "process_payment"
    return step.step in _RETRIABLE.get(order.status, _LOOKED_UP) and (waits or failed)
