"""What a person decides where the provider cannot: paid another way, or cleared up elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select
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
from meet2be.payments.statements import INSERT_REFUNDS, LOCK_PAYMENTS, MOVE_MONEY
from meet2be.payments.verdicts import Declined, Ruling, Told, Verdict

DECIDED_NOT_MADE = "decided_not_made"
AT_ONCE: Final = 200


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
    follow(session, context, _book_by_hand(session, context, [item], by, reason, now), now)
    facts.note(session, EventDataStale(context.event_uid))
    write_audit(
        session, run, "refund.paid_by_hand", by, now,
        {"item": item_id, "reason": reason, "amount_minor": item.planned_minor},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many attendees of a run wait for somebody to pay them by hand, and what (minor units)."""

    number: int
    minor: dict[str, int]


def waiting_by_hand(session: Session, run_id: int) -> Waiting:
    """Return who waits to be paid by hand."""
    found = session.execute(
        select(CancelItem.currency, func.count(), func.sum(CancelItem.planned_minor))
        .where(*_waiting(run_id))
        .group_by(CancelItem.currency)
        .order_by(CancelItem.currency)
    ).all()
    return Waiting(
        sum(number for _, number, _ in found), {name: int(minor) for name, _, minor in found}
    )


def mark_all_paid(
    session: Session, desk: Desk, run_uid: str, by: By, reason: str, *, seconds: float = 15.0
) -> int:
    """Write down that all a run left to be paid by hand was paid; return how many attendees.

    Done and committed in parts, so that nobody waits long for a lock; ends after so many seconds
    whatever is left, and can be called again for that. Raises ``ReasonMissing``.
    """
    if not reason.strip():
        raise ReasonMissing("mark all refunds as paid by hand")
    clock = clock_of(session)
    until, number = clock.monotonic() + seconds, 0
    while clock.monotonic() < until and (part := _mark_part(session, desk, run_uid, by, reason)):
        number += part
        session.commit()
    return number


def _mark_part(session: Session, desk: Desk, run_uid: str, by: By, reason: str) -> int:
    run = get_run(session, run_uid)
    items = session.scalars(
        select(CancelItem)
        .where(*_waiting(run.id))
        .order_by(CancelItem.id)
        .limit(AT_ONCE)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    if not items:
        return 0
    now = clock_of(session).now()
    context = context_of(session.connection(), run.tenant_id, run.id, desk.sender)
    follow(session, context, _book_by_hand(session, context, items, by, reason, now), now)
    facts.note(session, EventDataStale(context.event_uid))
    sums: Counter[str] = Counter()
    for item in items:
        sums[item.currency] += item.planned_minor
    after = {"items": len(items), "reason": reason, "amounts_minor": dict(sums)}
    write_audit(session, run, "refund.paid_by_hand", by, now, after)
    return len(items)


def _waiting(run_id: int) -> tuple[ColumnElement[bool], ...]:
    is_manual = CancelItem.refund_state == "manual"
    return CancelItem.run_id == run_id, is_manual, CancelItem.planned_minor > 0


def _book_by_hand(
    session: Session,
    context: RunContext,
    items: Sequence[CancelItem],
    by: By,
    reason: str,
    now: datetime,
) -> list[Booked]:
    connection, tenant = session.connection(), context.tenant_id
    payments = sorted({item.payment_id for item in items if item.payment_id is not None})
    seqs: dict[int, int] = {}
    if payments:
        connection.execute(LOCK_PAYMENTS, {"tenant": tenant, "payments": payments})
        seqs = next_seqs(connection, tenant, payments)
    uids, rows, money = [new_uid() for _ in items], [], []
    for uid, item in zip(uids, items, strict=True):
        rows.append(_row(context, item, uid, seqs.get(item.payment_id or 0, 1), by, reason, now))
        if item.payment_id is not None:
            seqs[item.payment_id] += 1
            key = {"tenant": tenant, "payment": item.payment_id, "now": now}
            money.append({**key, "reserved": 0, "back": item.planned_minor})
    MOVE_MONEY.run_many(connection, money)
    ids = {uid: number for number, uid in connection.execute(INSERT_REFUNDS, rows)}
    sql.SEND_ITEMS.run_many(
        connection,
        [
            {
                "tenant": tenant, "item": item.id, "refund": ids[uid], "now": now,
                "amount": item.planned_minor,
            }
            for uid, item in zip(uids, items, strict=True)
        ],
    )  # fmt: skip
    return [
        Booked(
            ids[uid], uid, item.payment_id or 0, context.run_id, item.order_id, item.invoice_id,
            item.planned_minor, item.currency, "planned", "succeeded", None, None, None,
            by_hand=True,
        )
        for uid, item in zip(uids, items, strict=True)
    ]  # fmt: skip


def _row(
    context: RunContext, item: CancelItem, uid: str, seq: int, by: By, reason: str, now: datetime
) -> dict[str, Any]:
    return {
        "uid": uid, "tenant_id": context.tenant_id, "payment_id": item.payment_id,
        "invoice_id": item.invoice_id, "order_id": item.order_id,
        "attendee_id": item.attendee_id, "run_id": None, "lane": None, "seq": seq,
        "amount_minor": item.planned_minor, "currency": item.currency, "mode": "manual",
        "source": "organiser", "status": "succeeded", "idempotency_key": f"hand:{uid}",
        "requested_by": person_of(by), "reason": reason, "settled_at": now,
    }  # fmt: skip


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
