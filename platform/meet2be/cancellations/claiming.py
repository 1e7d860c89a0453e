"""The first half of a chunk: decide what each unit needs, and reserve before anything is sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from meet2be.cancellations import statements as sql
from meet2be.cancellations.context import RunContext
from meet2be.cancellations.items import Finish, finish, reopen
from meet2be.cancellations.letters import told_for_skip
from meet2be.cancellations.planning import (
    ALREADY_REFUNDED,
    DISPUTED,
    NOT_PAID,
    TEST_MODE,
    capped,
)
from meet2be.db import clock_of
from meet2be.payments.provider import (
    META_REFUND,
    META_RUN,
    META_TENANT,
    OUTSIDE,
    PAID_OUTSIDE,
    RefundOrder,
)
from meet2be.payments.services import NewRefund, OpenRefund, next_seqs, open_refunds
from meet2be.payments.statements import LOCK_PAYMENTS

MAX_ATTEMPTS = 6
_WHY_A_PERSON = {"manual": "by_hand", "failed": "too_many_attempts"}


@dataclass(frozen=True, slots=True)
class Task:
    """One refund to be sent, or to be looked up first (`resolve`)."""

    refund_id: int
    refund_uid: str
    attempt: int
    order: RefundOrder
    circuit: str
    sent_at: datetime
    resolve: bool = False
    failure_code: str | None = None
    known_ids: frozenset[str] = frozenset()


@dataclass(slots=True)
class Claim:
    """What a chunk holds: tasks to carry out, how many units were met, and the last of them."""

    tasks: list[Task] = field(default_factory=list)
    units: int = 0
    put_off: int = 0
    last_unit: int = -1


@dataclass(frozen=True, slots=True)
class _Sending:
    items: Sequence[Any]
    payment: Any
    amounts: list[int]


def claim_units(
    session: Session, context: RunContext, lane: int, after: int, units: int, token: str
) -> Claim:
    """Take the lane's next units: end those that need no refund, reserve and claim the others."""
    connection, now = session.connection(), clock_of(session).now()
    rows = connection.execute(
        sql.NEXT_ITEMS,
        {
            "tenant": context.tenant_id, "run": context.run_id, "of_lane": lane, "after": after,
            "units": units,
        },
    ).all()  # fmt: skip
    claim = Claim()
    if not rows:
        return claim
    claim.last_unit = rows[-1].unit
    payments = _payments_of(connection, context, rows)
    others = _others_under_way(connection, context, payments.values())
    sending: list[_Sending] = []
    ending: list[tuple[Any, str, str | None, int]] = []
    waiting: list[Any] = []
    for _, group in groupby(rows, key=lambda row: row.unit):
        items = list(group)
        claim.units += 1
        payment = payments.get(items[0].payment_id)
        reason = _no_refund(context, items, payment)
        if reason is not None or payment is None:
            ending += [(item, "none_needed", item.skip_reason or reason, 0) for item in items]
        elif _must_wait(context, others.get(payment.id, ()), payment, items):
            waiting += items
            claim.put_off += 1
        else:
            _decide(context, _Sending(items, payment, []), others, sending, ending)
    reopen(connection, context, waiting, {})
    _end(session, context, ending, now)
    claim.tasks = _send(connection, context, lane, sending, now, token)
    return claim


def _decide(
    context: RunContext,
    unit: _Sending,
    others: Mapping[int, Sequence[tuple[int | None, str]]],
    sending: list[_Sending],
    ending: list[tuple[Any, str, str | None, int]],
) -> None:
    """Send what is planned, cut to what the payment has left, or end the items that get nothing."""
    payment = unit.payment
    left = payment.amount_minor - payment.reserved_minor - payment.refunded_minor
    amounts = capped([item.planned_minor for item in unit.items], left)
    paid = [(item, amount) for item, amount in zip(unit.items, amounts, strict=True) if amount]
    for item, amount in zip(unit.items, amounts, strict=True):
        if not amount:
            ending.append((item, "none_needed", item.skip_reason or ALREADY_REFUNDED, 0))
    if not paid:
        return
    again = any(run == context.run_id for run, _ in others.get(payment.id, ()))
    worn_out = any(item.attempts >= MAX_ATTEMPTS for item, _ in paid)
    is_outside = payment.provider == OUTSIDE
    if context.options.refund_mode == "manual" or again or is_outside:
        why = PAID_OUTSIDE if is_outside else None
        ending += [(item, "manual", why, amount) for item, amount in paid]
    elif worn_out:
        ending += [(item, "failed", None, amount) for item, amount in paid]
    else:
        items = [item for item, _ in paid]
        sending.append(_Sending(items, payment, [amount for _, amount in paid]))


def _payments_of(
    connection: Connection, context: RunContext, rows: Sequence[Any]
) -> dict[int, Any]:
    ids = sorted({row.payment_id for row in rows if row.payment_id is not None})
    if not ids:
        return {}
    found = connection.execute(LOCK_PAYMENTS, {"tenant": context.tenant_id, "payments": ids})
    return {row.id: row for row in found}


def _others_under_way(
    connection: Connection, context: RunContext, payments: Any
) -> dict[int, list[tuple[int | None, str]]]:
    """Return refunds that stand on the payments already, as (run, status) by payment."""
    touched = [row.id for row in payments if row.reserved_minor or row.refunded_minor]
    found: defaultdict[int, list[tuple[int | None, str]]] = defaultdict(list)
    if touched:
        parameters = {"tenant": context.tenant_id, "payments": touched}
        for payment, run, status in connection.execute(sql.OTHERS_UNDER_WAY, parameters):
            found[payment].append((run, status))
    return found


def _no_refund(context: RunContext, items: Sequence[Any], payment: Any | None) -> str | None:
    """Return why a whole unit gets nothing, by how the payment stands now."""
    if payment is None:
        return NOT_PAID
    if payment.test_mode != context.test_mode:
        return TEST_MODE
    if payment.status == "disputed":
        return DISPUTED
    if payment.status != "succeeded":
        return NOT_PAID
    if not any(item.planned_minor for item in items):
        return ALREADY_REFUNDED
    return None


def _must_wait(
    context: RunContext,
    others: Sequence[tuple[int | None, str]],
    payment: Any,
    items: Sequence[Any],
) -> bool:
    """Tell whether another refund on the payment has to be settled before this can be decided."""
    left = payment.amount_minor - payment.reserved_minor - payment.refunded_minor
    if left >= sum(item.planned_minor for item in items):
        return False
    return any(
        run != context.run_id and status in {"planned", "sending", "uncertain"}
        for run, status in others
    )


def _end(
    session: Session,
    context: RunContext,
    ending: Sequence[tuple[Any, str, str | None, int]],
    now: datetime,
) -> None:
    if not ending:
        return
    parameters = {"tenant": context.tenant_id, "items": [item.id for item, *_ in ending]}
    found = session.connection().execute(sql.DETAILS_OF_ITEMS, parameters)
    details = {row.id: row for row in found}
    finish(
        session,
        context,
        [
            Finish(
                details[item.id],
                state,
                told_for_skip(reason) if state == "none_needed" else "organiser",
                amount,
                reason if state == "none_needed" else None,
                None if state == "none_needed" else reason or _WHY_A_PERSON[state],
                None,
            )
            for item, state, reason, amount in ending
        ],
        now,
    )


def _send(
    connection: Connection,
    context: RunContext,
    lane: int,
    sending: Sequence[_Sending],
    now: datetime,
    token: str,
) -> list[Task]:
    if not sending:
        return []
    seqs = next_seqs(connection, context.tenant_id, [unit.payment.id for unit in sending])
    new = [_refund_of(unit, context, lane, seqs[unit.payment.id]) for unit in sending]
    opened = open_refunds(connection, (context.tenant_id, context.tenant_uid), new, now, token)
    key = {"tenant": context.tenant_id, "now": now}
    sql.SEND_ITEMS.run_many(
        connection,
        [
            {**key, "item": item.id, "refund": refund.id, "amount": amount}
            for unit, refund in zip(sending, opened, strict=True)
            for item, amount in zip(unit.items, unit.amounts, strict=True)
        ],
    )
    return [
        _task(context, unit.payment, refund, now)
        for unit, refund in zip(sending, opened, strict=True)
    ]


def _refund_of(unit: _Sending, context: RunContext, lane: int, seq: int) -> NewRefund:
    payment = unit.payment
    return NewRefund(
        payment_id=payment.id,
        payment_uid=payment.uid,
        order_id=payment.order_id,
        invoice_id=payment.invoice_id or unit.items[0].invoice_id,
        amount_minor=sum(unit.amounts),
        currency=payment.currency,
        seq=seq,
        provider=payment.provider,
        run_id=context.run_id,
        lane=lane,
        reason=context.options.reason or None,
    )


def _task(context: RunContext, payment: Any, refund: OpenRefund, now: datetime) -> Task:
    order = refund_order(
        context, payment, refund.uid, refund.key, refund.new.amount_minor, refund.new.currency
    )
    circuit = f"{payment.provider}:{payment.provider_account or ''}"
    return Task(refund.id, refund.uid, 1, order, circuit, now)


def refund_order(
    context: RunContext, payment: Any, uid: str, key: str, amount_minor: int, currency: str
) -> RefundOrder:
    """Return the order as it is sent, the same each time: providers compare it under its key."""
    return RefundOrder(
        key=key,
        payment_ref=payment.provider_ref or "",
        amount_minor=amount_minor,
        currency=currency,
        account=payment.provider_account,
        test_mode=payment.test_mode,
        metadata={
            META_REFUND: uid,
            META_RUN: context.run_uid,
            META_TENANT: context.tenant_uid,
        },
    )
