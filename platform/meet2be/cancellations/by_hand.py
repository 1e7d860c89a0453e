"""What a person decides where the provider cannot: paid another way, or cleared up elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.audit.services import By, actor_of, person_of
from meet2be.cancellations import statements as sql
from meet2be.cancellations.context import Desk, RunContext, context_of
from meet2be.cancellations.errors import RunNotInState, UnknownItem
from meet2be.cancellations.following import rule
from meet2be.cancellations.items import follow
from meet2be.cancellations.models import CancelItem
from meet2be.cancellations.services import get_run, write_audit
from meet2be.db import clock_of
from meet2be.db.columns import new_uid
from meet2be.events.facts import EventDataStale
from meet2be.payments.errors import ReasonMissing, RefundNotInState, UnknownRefund
from meet2be.payments.models import Refund
from meet2be.payments.provider import ProviderRefund
from meet2be.payments.services import Booked, next_seqs
from meet2be.payments.statements import INSERT_REFUNDS, LOCK_PAYMENT, MOVE_MONEY
from meet2be.payments.verdicts import Declined, Ruling, Told, Verdict

DECIDED_NOT_MADE = "decided_not_made"


def mark_paid(
    session: Session, desk: Desk, run_uid: str, item_id: int, by: By, reason: str
) -> None:
    """Write down that an attendee's refund was paid by hand; the caller commits.

    It counts against the payment like any refund, so nothing can be paid on top of it. Raises
    ``ReasonMissing``, ``UnknownItem``, and ``RunNotInState`` for an item that is not the
    organiser's to pay.
    """
    if not reason.strip():
        raise ReasonMissing("mark a refund as paid by hand")
    run = get_run(session, run_uid)
    item = session.scalar(
        select(CancelItem)
        .where(CancelItem.id == item_id, CancelItem.run_id == run.id)
        .with_for_update()
    )
    if item is None:
        raise UnknownItem(run_uid, item_id)
    if item.refund_state not in {"manual", "failed"} or item.planned_minor == 0:
        raise RunNotInState(run_uid, item.refund_state, "marked as paid by hand")
    now = clock_of(session).now()
    context = context_of(session.connection(), run.tenant_id, run.id, desk.sender)
    booked = _book_by_hand(session, context, item, by, reason, now)
    follow(session, context, [booked], now)
    facts.note(session, EventDataStale(context.event_uid))
    write_audit(
        session, run, "refund.paid_by_hand", by, now,
        {"item": item_id, "reason": reason, "amount_minor": item.planned_minor},
    )  # fmt: skip


def _book_by_hand(
    session: Session, context: RunContext, item: CancelItem, by: By, reason: str, now: datetime
) -> Booked:
    connection, tenant = session.connection(), context.tenant_id
    seq = 1
    if item.payment_id is not None:
        key = {"tenant": tenant, "payment": item.payment_id}
        connection.execute(LOCK_PAYMENT, key)
        seq = next_seqs(connection, tenant, [item.payment_id])[item.payment_id]
        money = {**key, "reserved": 0, "back": item.planned_minor, "now": now}
        MOVE_MONEY.run(connection, money)
    uid = new_uid()
    row: dict[str, Any] = {
        "uid": uid, "tenant_id": tenant, "payment_id": item.payment_id,
        "invoice_id": item.invoice_id, "order_id": item.order_id,
        "attendee_id": item.attendee_id, "run_id": None, "lane": None, "seq": seq,
        "amount_minor": item.planned_minor, "currency": item.currency, "mode": "manual",
        "source": "organiser", "status": "succeeded", "idempotency_key": f"hand:{uid}",
        "requested_by": person_of(by), "reason": reason, "settled_at": now,
    }  # fmt: skip
    refund_id = connection.execute(INSERT_REFUNDS, [row]).scalar_one()
    parameters = {"tenant": tenant, "item": item.id, "refund": refund_id, "now": now}
    sql.SEND_ITEMS.run(connection, {**parameters, "amount": item.planned_minor})
    return Booked(
        refund_id, uid, item.payment_id or 0, context.run_id, item.order_id, item.invoice_id,
        item.planned_minor, item.currency, "planned", "succeeded", None, None, None,
        by_hand=True,
    )  # fmt: skip


def decide(
    session: Session, desk: Desk, refund_uid: str, by: By, reason: str, *, made: bool
) -> None:
    """Settle an uncertain refund by a person's word, who has looked at the provider's own pages.

    `made` books it; otherwise it has failed and can be retried. The caller commits. Raises
    ``ReasonMissing``, ``UnknownRefund``, ``RefundNotInState``.
    """
    if not reason.strip():
        raise ReasonMissing("settle an uncertain refund")
    refund = session.scalar(select(Refund).where(Refund.uid == refund_uid).with_for_update())
    if refund is None:
        raise UnknownRefund(refund_uid)
    if refund.status != "uncertain":
        raise RefundNotInState(refund_uid, refund.status, "decided by a person")
    now = clock_of(session).now()
    verdict: Verdict = Declined(DECIDED_NOT_MADE, reason)
    if made:
        verdict = Told(_as_if_told(refund, now))
    rule(session, desk, refund.tenant_id, [Ruling(refund.id, 0, verdict)], now)
    actor = actor_of(by)
    session.connection().execute(
        sql.INSERT_AUDIT,
        [
            {
                "tenant_id": refund.tenant_id, "at": now, "actor_kind": actor.kind,
                "actor_id": actor.id, "ip": actor.ip,
                "user_agent": actor.user_agent and actor.user_agent[:400],
                "action": "refund.decided", "object_type": "refund",
                "object_id": refund.uid, "before": {"status": "uncertain"},
                "after": {"made": made}, "reason": reason,
            }
        ],
    )  # fmt: skip


def _as_if_told(refund: Refund, now: datetime) -> ProviderRefund:
    return ProviderRefund(
        id=f"decided:{refund.uid}",
        payment_ref=None,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        status="succeeded",
        provider_status="decided",
        created_at=now,
    )
