"""What a person decides where the provider cannot: paid another way, or cleared up elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from meet2be.cancellations.items import Finish, finish, follow
from meet2be.cancellations.letters import told_for_skip
from meet2be.cancellations.models import CancelItem
from meet2be.cancellations.planning import ALREADY_REFUNDED
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
from meet2be.refunding.opening import tickets_left

DECIDED_NOT_MADE = "decided_not_made"
AT_ONCE: Final = 200


def mark_paid(
    session: Session, desk: Desk, run_uid: str, item_id: int, by: By, reason: str
) -> None:
    """Write down that an attendee's refund was paid by hand; the caller commits.

    It counts against the payment like any refund, so nothing can be paid on top of it; of what went
    back in another way meanwhile only the rest is written down, if any. Raises ``ReasonMissing``,
    ``UnknownItem``, and ``RunNotInState`` for an item that is not the organiser's to pay.
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
    paid = _book_by_hand(session, context, [item], by, reason, now)
    write_audit(
        session, run, "refund.paid_by_hand", by, now,
        {"item": item_id, "reason": reason, "amount_minor": sum(paid.amounts)},
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
    session: Session,
    desk: Desk,
    run_uid: str,
    by: By,
    reason: str,
    *,
    most: int,
    seconds: float = 15.0,
) -> int:
    """Write down that all a run left to be paid by hand was paid; return how many attendees.

    At most as many as were confirmed: a run that goes on may leave others meanwhile.

    Whose money went back in another way meanwhile is not among them, and waits no longer. Done and
    committed in parts, so that nobody waits long for a lock; ends after so many seconds whatever is
    left, and can be called again for that. Raises ``ReasonMissing``.
    """
    if not reason.strip():
        raise ReasonMissing("mark all refunds as paid by hand")
    clock = clock_of(session)
    until, number, looked_at = clock.monotonic() + seconds, 0, 0
    while looked_at < most and clock.monotonic() < until:
        part = _mark_part(session, desk, run_uid, by, reason, min(AT_ONCE, most - looked_at))
        if part is None:
            break
        looked_at, number = looked_at + part[0], number + part[1]
        session.commit()
    return number


def _mark_part(
    session: Session, desk: Desk, run_uid: str, by: By, reason: str, most: int
) -> tuple[int, int] | None:
    """Mark some; return how many waited and how many were paid, None when nobody waits."""
    run = get_run(session, run_uid)
    items = session.scalars(
        select(CancelItem)
        .where(*_waiting(run.id))
        .order_by(CancelItem.id)
        .limit(most)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    if not items:
        return None
    now = clock_of(session).now()
    context = context_of(session.connection(), run.tenant_id, run.id, desk.sender)
    paid = _book_by_hand(session, context, items, by, reason, now)
    if paid.items:
        sums: Counter[str] = Counter()
        for item, amount in zip(paid.items, paid.amounts, strict=True):
            sums[item.currency] += amount
        after = {"items": len(paid.items), "reason": reason, "amounts_minor": dict(sums)}
        write_audit(session, run, "refund.paid_by_hand", by, now, after)
    return len(items), len(paid.items)


def _waiting(run_id: int) -> tuple[ColumnElement[bool], ...]:
    is_manual = CancelItem.refund_state == "manual"
    return CancelItem.run_id == run_id, is_manual, CancelItem.planned_minor > 0


@dataclass(slots=True)
class _Paid:
    """Items with the amounts that were paid by hand (minor units)."""

    items: list[CancelItem] = field(default_factory=list)
    amounts: list[int] = field(default_factory=list)


def _book_by_hand(
    session: Session,
    context: RunContext,
    items: Sequence[CancelItem],
    by: By,
    reason: str,
    now: datetime,
) -> _Paid:
    """Book what is planned, cut to what is left of it; end the items of which nothing is."""
    connection, tenant = session.connection(), context.tenant_id
    payments = sorted({item.payment_id for item in items if item.payment_id is not None})
    left: dict[int, int] = {}
    seqs: dict[int, int] = {}
    if payments:
        locked = connection.execute(LOCK_PAYMENTS, {"tenant": tenant, "payments": payments})
        left = {
            row.id: row.amount_minor - row.reserved_minor - row.refunded_minor for row in locked
        }
        seqs = next_seqs(connection, tenant, payments)
    tickets = tickets_left(session, [item.attendee_id for item in items])
    paid, over = _Paid(), []
    uids, rows, money = [], [], []
    for item in items:
        amount = min(item.planned_minor, tickets.get(item.attendee_id, item.planned_minor))
        if item.payment_id is not None:
            amount = min(amount, left[item.payment_id])
        if amount <= 0:
            over.append(item.id)
            continue
        uid = new_uid()
        uids.append(uid)
        seq = seqs.get(item.payment_id or 0, 1)
        rows.append(_row(context, item, amount, uid, seq, by, reason, now))
        if item.payment_id is not None:
            seqs[item.payment_id] += 1
            left[item.payment_id] -= amount
            key = {"tenant": tenant, "payment": item.payment_id, "now": now}
            money.append({**key, "reserved": 0, "back": amount})
        paid.items.append(item)
        paid.amounts.append(amount)
    MOVE_MONEY.run_many(connection, money)
    if rows:
        follow(session, context, _written(session, context, paid, uids, rows, now), now)
    _end_paid_already(session, context, over, now)
    facts.note(session, EventDataStale(context.event_uid))
    return paid


def _written(
    session: Session,
    context: RunContext,
    paid: _Paid,
    uids: Sequence[str],
    rows: Sequence[dict[str, Any]],
    now: datetime,
) -> list[Booked]:
    connection = session.connection()
    ids = {uid: number for number, uid in connection.execute(INSERT_REFUNDS, rows)}
    whole = list(zip(uids, paid.items, paid.amounts, strict=True))
    sql.SEND_ITEMS.run_many(
        connection,
        [
            {
                "tenant": context.tenant_id, "item": item.id, "refund": ids[uid], "now": now,
                "amount": amount,
            }
            for uid, item, amount in whole
        ],
    )  # fmt: skip
    return [
        Booked(
            ids[uid], uid, item.payment_id or 0, context.run_id, item.order_id, item.invoice_id,
            amount, item.currency, "planned", "succeeded", None, None, None,
            by_hand=True,
        )
        for uid, item, amount in whole
    ]  # fmt: skip


def _end_paid_already(
    session: Session, context: RunContext, items: Sequence[int], now: datetime
) -> None:
    """End the items whose money went back in another way, such as from the order's page."""
    if not items:
        return
    parameters = {"tenant": context.tenant_id, "items": items}
    details = session.connection().execute(sql.DETAILS_OF_ITEMS, parameters).all()
    told = told_for_skip(ALREADY_REFUNDED)
    ends = [Finish(each, "none_needed", told, 0, ALREADY_REFUNDED) for each in details]
    finish(session, context, ends, now)


def _row(
    context: RunContext,
    item: CancelItem,
    amount: int,
    uid: str,
    seq: int,
    by: By,
    reason: str,
    now: datetime,
) -> dict[str, Any]:
    return {
        "uid": uid, "tenant_id": context.tenant_id, "payment_id": item.payment_id,
        "invoice_id": item.invoice_id, "order_id": item.order_id,
        "attendee_id": item.attendee_id, "run_id": None, "lane": None, "seq": seq,
        "amount_minor": amount, "currency": item.currency, "mode": "manual",
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
