"""What a person decides on an order's refund that came to nothing: again, or paid by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.audit.services import By, actor_of, person_of, record
from meet2be.db.columns import new_uid
from meet2be.payments.errors import ReasonMissing, RefundNotInState, UnknownRefund
from meet2be.payments.models import Payment, Refund
from meet2be.payments.services import Booked, next_seqs
from meet2be.payments.statements import INSERT_REFUNDS, LOCK_PAYMENT, MOVE_MONEY
from meet2be.refunding.following import follow_single
from meet2be.refunding.opening import Share, has_left, is_replaced, left_for, open_shares


def may_decide(session: Session, refund: Refund) -> bool:
    """Tell whether a refund has failed, is no cancel run's, and nothing took its place yet.

    What took its place may be a refund of the same ticket that was begun from its order's page.
    """
    if refund.status != "failed" or refund.run_id is not None or refund.payment_id is None:
        return False
    payment = session.get_one(Payment, refund.payment_id)
    is_open = has_left(session, payment, refund.attendee_id)
    return is_open and not is_replaced(session, refund)


def retry(session: Session, uid: str, by: By, now: datetime) -> int:
    """Open another refund in the place of one that failed; return its amount in minor units.

    Raises ``UnknownRefund``, ``RefundNotInState``. The caller commits.
    """
    refund, payment, amount = _decided(session, uid, "tried again")
    open_shares(
        session, payment, [Share(amount, refund.attendee_id, refund.id)], now,
        source="organiser", reason=refund.reason or "again", by=person_of(by),
        invoice_id=refund.invoice_id,
    )  # fmt: skip
    record(session, actor_of(by), "refund.retry", "refund", refund.uid)
    return amount


def mark_paid(session: Session, uid: str, by: By, reason: str, now: datetime) -> int:
    """Write down that a failed refund was paid by hand; return its amount in minor units.

    It counts against the payment like any other. Raises ``ReasonMissing``, ``UnknownRefund``,
    ``RefundNotInState``. The caller commits.
    """
    if not reason.strip():
        raise ReasonMissing("mark a refund as paid by hand")
    refund, payment, amount = _decided(session, uid, "marked as paid")
    connection, tenant = session.connection(), refund.tenant_id
    key = {"tenant": tenant, "payment": payment.id}
    connection.execute(LOCK_PAYMENT, key)
    seq = next_seqs(connection, tenant, [payment.id])[payment.id]
    MOVE_MONEY.run(connection, {**key, "reserved": 0, "back": amount, "now": now})
    own = new_uid()
    row: dict[str, Any] = {
        "uid": own, "tenant_id": tenant, "payment_id": payment.id,
        "invoice_id": refund.invoice_id, "order_id": refund.order_id,
        "attendee_id": refund.attendee_id, "run_id": None, "lane": None, "seq": seq,
        "replaces_id": refund.id, "amount_minor": amount, "currency": refund.currency,
        "mode": "manual", "source": "organiser", "status": "succeeded",
        "idempotency_key": f"hand:{own}", "requested_by": person_of(by), "reason": reason,
        "settled_at": now,
    }  # fmt: skip
    made = connection.execute(INSERT_REFUNDS, [row]).first()
    booked = Booked(
        made.id if made is not None else 0, own, payment.id, None, refund.order_id,
        refund.invoice_id, amount, refund.currency, "planned", "succeeded", None, None, None,
        by_hand=True,
    )  # fmt: skip
    follow_single(session, [booked], now)
    record(
        session, actor_of(by), "refund.paid_by_hand", "refund", refund.uid, reason=reason,
        after={"amount_minor": amount},
    )  # fmt: skip
    return amount


def _decided(session: Session, uid: str, verb: str) -> tuple[Refund, Payment, int]:
    refund = session.scalar(select(Refund).where(Refund.uid == uid).with_for_update())
    if refund is None:
        raise UnknownRefund(uid)
    left = 0
    if refund.payment_id is not None:
        left = left_for(session, refund.payment_id, refund.attendee_id)
    if not left or refund.payment_id is None or not may_decide(session, refund):
        raise RefundNotInState(uid, refund.status, verb)
    payment = session.get_one(Payment, refund.payment_id, populate_existing=True)
    return refund, payment, min(refund.amount_minor, left)
