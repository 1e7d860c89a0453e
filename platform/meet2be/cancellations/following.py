"""Following refunds and payments after they were sent: by messages, by look-up, by a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.cancellations.context import Desk, context_of
from meet2be.cancellations.items import follow, reopen
from meet2be.cancellations.models import CancelRun
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event
from meet2be.language import Message
from meet2be.notifications.services import Notice, notify_admins
from meet2be.orders.facts import OrderCanGoOn
from meet2be.orders.models import Order
from meet2be.payments import inbox
from meet2be.payments.errors import RefundNotInState, UnknownRefund
from meet2be.payments.ledger import matching
from meet2be.payments.models import Payment, ProviderEvent, Refund
from meet2be.payments.provider import PAGE_METHOD
from meet2be.payments.provider import ProviderEvent as News
from meet2be.payments.services import Booked, book, record_external
from meet2be.payments.verdicts import Ruling, Told, Verdict
from meet2be.refunding.following import follow_single

LookedUp = Literal["settled", "no_news", "not_found"]


def process_event(desk: Desk, row_id: int) -> str:
    """Act on a stored message and return what came of it; a second run changes nothing.

    Raises what the database raises when others were in the way: the job tries again.
    """
    reason = "inbox: find whose message it is"
    with desk.db.system_session(reason, read_only=True) as session:
        row = session.get_one(ProviderEvent, row_id)
        if row.processed_at is not None:
            return row.result or ""
        message = desk.payments.read(json.dumps(row.payload).encode())
        owner = _owner(session, row.provider, message)
        double = _double(session, row.provider, message)
    if double is not None:
        _mark(desk, row_id, inbox.CONFLICT, double)
        return inbox.CONFLICT
    result = inbox.UNMATCHED
    if owner is not None:
        try:
            result = _act(desk, owner, message)
        except IntegrityError as error:
            _mark(desk, row_id, inbox.CONFLICT, str(error.orig))
            return inbox.CONFLICT
    _mark(desk, row_id, result, None)
    return result


def give_up(desk: Desk, row_id: int, why: str) -> None:
    """Mark a message as one that could not be acted upon: it is shown to the operators."""
    _mark(desk, row_id, inbox.GAVE_UP, why)


def _mark(desk: Desk, row_id: int, result: str, error: str | None) -> None:
    with desk.db.system_session("inbox: write what came of a message") as session:
        inbox.mark(session, row_id, result, desk.clock.now(), error)
        session.commit()


def _double(session: Session, provider: str, message: News) -> str | None:
    """Return what is wrong where our mark is on a second refund at the provider, else None.

    Nothing is booked then: what the one has come to says nothing of the other.
    """
    refund = inbox.refund_of(session, provider, message)
    if refund is None or message.refund is None:
        return None
    if refund.provider_refund_id in {None, message.refund.id}:
        return None
    return (
        f"the refund '{refund.uid}' is {refund.provider_refund_id!r} at the provider, and there is "
        f"{message.refund.id!r} with its mark, too"
    )


def _owner(
    session: Session, provider: str, message: News
) -> tuple[int, int | None, int | None] | None:
    """Return (tenant, refund, payment) a message is about, None when it fits nothing."""
    refund = inbox.refund_of(session, provider, message)
    if refund is not None:
        return refund.tenant_id, refund.id, refund.payment_id
    payment: Payment | None = None
    if message.payment_ref is not None:
        by_id = (Payment.provider == provider, Payment.provider_ref == message.payment_ref)
        payment = session.scalar(select(Payment).where(*by_id))
    if payment is None and message.payment_mark:
        # It came before the answer to the call that made it: our mark says which one it is.
        by_mark = (Payment.provider == provider, Payment.uid == message.payment_mark)
        payment = session.scalar(select(Payment).where(*by_mark))
    return None if payment is None else (payment.tenant_id, None, payment.id)


def _act(desk: Desk, owner: tuple[int, int | None, int | None], message: News) -> str:
    tenant_id, refund_id, payment_id = owner
    now = desk.clock.now()
    with desk.db.tenant_session(tenant_id) as session:
        if refund_id is not None and message.refund is not None:
            told = Told(message.refund)
            result = rule(session, desk, tenant_id, [Ruling(refund_id, 0, told)], now)
        elif message.refund is not None and payment_id is not None:
            found = [message.refund]
            written = record_external(session.connection(), tenant_id, payment_id, found, now)
            result = "external" if written else inbox.OLD_NEWS
            _figures_are_old(session, payment_id)
        elif payment_id is not None:
            result = _payment_news(session, payment_id, message, now)
        else:
            result = inbox.UNMATCHED
        session.commit()
    return result


def _figures_are_old(session: Session, payment_id: int) -> None:
    of_payment = select(Order.event_id).join(Payment, Payment.order_id == Order.id)
    event = select(Event.uid).where(
        Event.id.in_(of_payment.where(Payment.id == payment_id).scalar_subquery())
    )
    facts.note(session, EventDataStale(session.scalars(event).one()))


def rule(
    session: Session, desk: Desk, tenant_id: int, rulings: Sequence[Ruling], now: datetime
) -> str:
    """Book rulings that come from outside a lane, with all that follows; the caller commits."""
    booked = book(session.connection(), tenant_id, rulings, now)
    changed = [each for each in booked if each.before != each.status]
    if not changed:
        return inbox.OLD_NEWS
    follow_single(session, changed, now)
    for each in changed:
        if each.run_id is not None:
            context = context_of(session.connection(), tenant_id, each.run_id, desk.sender)
            reopen(session.connection(), context, follow(session, context, [each], now), {})
            _tell_if_it_came_back(session, tenant_id, each, context.event_title, now)
            facts.note(session, EventDataStale(context.event_uid))
    return changed[0].status


def _tell_if_it_came_back(
    session: Session, tenant_id: int, refund: Booked, title: str, now: datetime
) -> None:
    """Tell the organisers of a refund that was taken for good and has failed after all."""
    if refund.status != "failed" or refund.before not in {"pending", "succeeded"}:
        return
    session.execute(
        update(CancelRun)
        .where(CancelRun.id == refund.run_id, CancelRun.state == "done")
        .values(state="done_with_errors")
        .execution_options(synchronize_session=False)
    )
    why = refund.text or refund.code or Message("no reason was given")
    notify_admins(
        session,
        tenant_id,
        Notice(
            kind="refund_came_back",
            severity="error",
            title=Message("A refund has come back"),
            body=Message(
                "A refund for %(event)s had been accepted and failed later: %(why)s",
                {"event": title, "why": why},
            ),
            link=f"/refunds/{refund.uid}",
            related_type="refund",
            related_id=refund.id,
            dedupe_key=f"refund-came-back:{refund.uid}",
        ),
        now,
    )


def _payment_news(session: Session, payment_id: int, message: News, now: datetime) -> str:
    payment = session.get_one(Payment, payment_id, with_for_update=True)
    match message.kind, payment.status:
        case "dispute_opened", "succeeded":
            payment.status = "disputed"
        case "dispute_won", "disputed":
            payment.status = "succeeded"
        case "payment_succeeded", "created" | "pending" | "failed":
            payment.status, payment.paid_at = "succeeded", message.created_at
            payment.provider_ref = payment.provider_ref or message.payment_ref
            _tell_order(session, payment, now)
        case "page", "created" | "pending" | "failed":
            _look_now(session, payment, now)
        case "payment_failed", "created" | "pending" if payment.method == PAGE_METHOD:
            # One card was declined: the page is open for another one.
            _look_now(session, payment, now)
        case "payment_failed", "created" | "pending":
            payment.status = "failed"
            payment.provider_ref = payment.provider_ref or message.payment_ref
            _tell_order(session, payment, now)
        case _:
            return inbox.OLD_NEWS
    return message.kind


def _look_now(session: Session, payment: Payment, now: datetime) -> None:
    """Have the provider asked what became of a page: its message is but a hint."""
    payment.look_at = now
    _tell_order(session, payment, now)


def _tell_order(session: Session, payment: Payment, now: datetime) -> None:
    """Let an order of the checkout go on: its own steps know what the money is for."""
    order = session.get_one(Order, payment.order_id)
    if order.client_key is not None:
        facts.note(session, OrderCanGoOn(order.uid))
    elif payment.status == "succeeded":
        _tell_if_too_late(session, payment, now)


def _tell_if_too_late(session: Session, payment: Payment, now: datetime) -> None:
    """Tell the organisers when money came in for an event that is cancelled already."""
    order = session.get_one(Order, payment.order_id)
    event = session.get_one(Event, order.event_id)
    if event.status != "cancelled":
        return
    notice = Notice(
        kind="payment_after_cancellation",
        severity="warning",
        title=Message(
            "A payment came in for %(event)s, which is cancelled", {"event": event.title}
        ),
        body=Message(
            "Order %(order)s was paid after the last refund. Refund it by another run.",
            {"order": order.code},
        ),
        related_type="payment",
        related_id=payment.id,
        dedupe_key=f"late-payment:{payment.uid}",
    )
    notify_admins(session, payment.tenant_id, notice, now)


def look_up_now_tx(desk: Desk, tenant_id: int, refund_uid: str) -> LookedUp:
    """Ask the provider what it has of a refund now, and book it.

    Raises ``UnknownRefund``, ``RefundNotInState`` for one that is settled, and
    ``ProviderUnavailable``; nothing is sent by this.
    """
    with desk.db.tenant_session(tenant_id, read_only=True) as session:
        refund = session.scalar(select(Refund).where(Refund.uid == refund_uid))
        if refund is None:
            raise UnknownRefund(refund_uid)
        if refund.status not in {"sending", "uncertain", "pending"} or refund.payment_id is None:
            raise RefundNotInState(refund_uid, refund.status, "looked up")
        payment = session.get_one(Payment, refund.payment_id)
        others = select(Refund.provider_refund_id).where(
            Refund.payment_id == payment.id, Refund.id != refund.id
        )
        known = frozenset(each for each in session.scalars(others) if each)
    found = desk.payments.refunds_of(
        payment.provider_ref or "", payment.provider_account, test_mode=payment.test_mode
    )
    ours = matching(refund_uid, refund.amount_minor, refund.sent_at, found, known)
    if ours is None:
        return "not_found"
    told: Verdict = Told(ours, found=True)
    with desk.db.tenant_session(tenant_id) as session:
        now = desk.clock.now()
        result = rule(session, desk, tenant_id, [Ruling(refund.id, 0, told)], now)
        session.commit()
    return "no_news" if result == inbox.OLD_NEWS else "settled"
