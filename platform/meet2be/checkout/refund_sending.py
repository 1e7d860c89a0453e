"""Sending a refund that no cancel run looks after: asked, booked, followed; one job each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.cancellations.calls import Caller
from meet2be.cancellations.claiming import Task
from meet2be.cancellations.following import rule
from meet2be.cancellations.settling import outcomes_of
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.steps import Outcome, Wait
from meet2be.language import N_
from meet2be.orders.models import Order
from meet2be.payments import circuit
from meet2be.payments.ledger import ACCOUNT_TROUBLE, ALREADY_REFUNDED, NO_FUNDS, NOT_MADE
from meet2be.payments.models import Payment, Refund
from meet2be.payments.provider import META_REFUND, META_TENANT, OUTSIDE, PAID_OUTSIDE, RefundOrder
from meet2be.payments.services import LEASE, record_external
from meet2be.payments.statements import INSERT_ATTEMPTS, LAST_ATTEMPTS
from meet2be.payments.verdicts import Declined, Later, RefundedElsewhere, Ruling, Unknown
from meet2be.refunding.facts import RefundsOpened
from meet2be.refunding.following import tell_delay, tell_failure, tell_unknown
from meet2be.refunding.opening import (
    LATER,
    NOBODY,
    Share,
    is_replaced,
    left_for,
    open_shares,
)
from meet2be.tenancy.models import Tenant

MOST_REFUNDS = 5
"""So often a refund that the provider did not make is asked for."""
TROUBLE = (ACCOUNT_TROUBLE, NO_FUNDS)
"""Refused as our account has no funds, or is refused itself: the refund is fine, and waits."""
TROUBLE_PAUSES = (60, 300, 1800, 2 * 3600, 6 * 3600, *(12 * 3600,) * 4, *(24 * 3600,) * 10)
"""Seconds until each further try then, twelve days and some hours in all."""
HALF_OPEN_WAIT = 5.0
"""Seconds after which it is asked again whether another worker's probe has got through."""
STALE = timedelta(minutes=10)
AT_ONCE = 200


def send_refund(
    desk: CheckoutDesk, tenant_id: int, refund_id: int, ensure_lease: Callable[[], None]
) -> Outcome:
    """Ask for a refund and book the answer; `Wait` until it is to be looked up."""
    with desk.db.tenant_session(tenant_id) as session:
        task = _claim(session, refund_id, desk.clock.now())
        session.commit()
    if not isinstance(task, Task):
        return task
    if task.circuit.partition(":")[0] == OUTSIDE:
        text = N_("The money came in elsewhere, so the provider cannot pay it back.")
        ruling = Ruling(task.refund_id, task.attempt, Declined(PAID_OUTSIDE, text))
    else:
        ruling = Caller(desk.payments, desk.clock, ensure_lease).carry_out(task)
    with desk.db.tenant_session(tenant_id) as session:
        outcome = _book(session, desk, tenant_id, task, ruling)
        session.commit()
    return outcome


def _claim(session: Session, refund_id: int, now: datetime) -> Task | Outcome:
    refund = session.scalar(select(Refund).where(Refund.id == refund_id).with_for_update())
    if refund is None or refund.status not in {"sending", "uncertain"}:
        return "stop"
    if refund.payment_id is None:
        return "stop"
    is_first = refund.lease_token in {NOBODY, LATER}
    if refund.lease_token != NOBODY and refund.lease_until is not None and refund.lease_until > now:
        return Wait((refund.lease_until - now).total_seconds())
    payment = session.get_one(Payment, refund.payment_id)
    account = f"{payment.provider}:{payment.provider_account or ''}"
    pause = _pause_of(session, account, f"refund:{refund.id}", now)
    if pause is not None:
        refund.lease_token = LATER if is_first else refund.lease_token
        refund.lease_until = now + timedelta(seconds=pause)
        return Wait(pause)
    attempt = 1 if is_first else _next_attempt(session, refund, now)
    refund.lease_token, refund.lease_until = "order-refund", now + LEASE
    if is_first:
        refund.sent_at = now  # from when on the key is known to the provider
    tenant = session.get_one(Tenant, refund.tenant_id)
    others = select(Refund.provider_refund_id).where(
        Refund.payment_id == payment.id, Refund.id != refund.id
    )
    return Task(
        refund.id,
        refund.uid,
        attempt,
        RefundOrder(
            key=refund.idempotency_key,
            payment_ref=payment.provider_ref or "",
            amount_minor=refund.amount_minor,
            currency=refund.currency,
            account=payment.provider_account,
            test_mode=payment.test_mode,
            metadata={META_REFUND: refund.uid, META_TENANT: tenant.uid},
        ),
        account,
        refund.sent_at or now,
        resolve=not is_first,
        failure_code=refund.failure_code,
        known_ids=frozenset(each for each in session.scalars(others) if each),
    )


def _pause_of(session: Session, account: str, token: str, now: datetime) -> float | None:
    """Return for how long the account is not to be asked; None: now, or as the one probe."""
    connection = session.connection()
    found = circuit.worst(connection, [account])
    if found is None or circuit.take_probe(connection, account, token, now):
        return None
    _, state = found
    if state.state == "open" and state.retry_at is not None:
        return max(HALF_OPEN_WAIT, (state.retry_at - now).total_seconds())
    return HALF_OPEN_WAIT


def _next_attempt(session: Session, refund: Refund, now: datetime) -> int:
    connection = session.connection()
    found = connection.execute(
        LAST_ATTEMPTS, {"tenant": refund.tenant_id, "refunds": [refund.id]}
    ).all()
    number = 1 + max((int(n) for _, n in found), default=0)
    row = {"tenant": refund.tenant_id, "refund": refund.id, "number": number, "now": now}
    INSERT_ATTEMPTS.run_many(connection, [row])
    return number


def _book(
    session: Session, desk: CheckoutDesk, tenant_id: int, task: Task, ruling: Ruling
) -> Outcome:
    now = desk.clock.now()
    rule(session, desk.desk, tenant_id, [ruling], now)
    refund = session.get_one(Refund, ruling.refund_id, populate_existing=True)
    verdict = ruling.verdict
    outcome: Outcome = "stop"
    if isinstance(verdict, RefundedElsewhere) and refund.payment_id is not None:
        record_external(session.connection(), tenant_id, refund.payment_id, verdict.found, now)
    if refund.status in {"sending", "uncertain"}:
        at = verdict.at if isinstance(verdict, Later) else None
        at = verdict.look_at if isinstance(verdict, Unknown) else at
        if at is not None:
            outcome = Wait(max(0.5, (at - now).total_seconds()))
        elif isinstance(verdict, Unknown):
            tell_unknown(session, session.get_one(Order, refund.order_id), refund, now)
    elif refund.failure_code in {NOT_MADE, ALREADY_REFUNDED, *TROUBLE}:
        _begin_anew(session, refund, now)
    if refund.failure_code != PAID_OUTSIDE:
        circuit.record(session.connection(), task.circuit, outcomes_of([verdict]), now)
    return outcome


def _begin_anew(session: Session, refund: Refund, now: datetime) -> None:
    """Open another refund for what the payment still has, under a key of its own.

    What the account's trouble refused waits, and spends none of the other tries.
    """
    if refund.payment_id is None:
        return
    payment = session.get_one(Payment, refund.payment_id, populate_existing=True)
    left = min(left_for(session, payment.id, refund.attendee_id), refund.amount_minor)
    if not left or is_replaced(session, refund):  # a job that was late begins no second one
        return
    order = session.get_one(Order, refund.order_id)
    codes = _codes(session, refund)
    why = refund.failure_text or refund.failure_code or "–"
    not_before = None
    if refund.failure_code in TROUBLE:
        tries = sum(code in TROUBLE for code in codes)
        if tries <= len(TROUBLE_PAUSES):
            not_before = now + timedelta(seconds=TROUBLE_PAUSES[tries - 1])
            tell_delay(session, order, refund, why, now)
    elif len(codes) - sum(code in TROUBLE for code in codes) >= MOST_REFUNDS:
        tell_failure(session, order, refund, why, now)
        return
    if refund.failure_code in TROUBLE and not_before is None:
        tell_failure(session, order, refund, why, now)
        return
    open_shares(
        session, payment, [Share(left, refund.attendee_id, refund.id)], now,
        source=refund.source, reason=refund.reason or "again", by=refund.requested_by,
        invoice_id=refund.invoice_id, not_before=not_before,
    )  # fmt: skip


def _codes(session: Session, refund: Refund) -> list[str]:
    """Return why this refund and those it stands for in turn came to nothing, the last first."""
    codes, known = [refund.failure_code or ""], refund
    while known.replaces_id is not None:
        known = session.get_one(Refund, known.replaces_id)
        codes.append(known.failure_code or "")
    return codes


def give_up_refund_tx(desk: CheckoutDesk, tenant_id: int, refund_id: int) -> None:
    """Tell people that the job of a refund broke down; what became of it stays to be found out."""
    with desk.db.tenant_session(tenant_id) as session:
        refund = session.get(Refund, refund_id)
        if refund is not None and refund.status in {"sending", "uncertain"}:
            order = session.get_one(Order, refund.order_id)
            tell_unknown(session, order, refund, desk.clock.now())
        session.commit()


def resume_refunds_tx(desk: CheckoutDesk) -> int:
    """Have refunds of orders sent on whose job was lost; return how many."""
    now = desk.clock.now()
    with desk.db.system_session("find refunds that stand still", read_only=True) as session:
        stuck = session.execute(
            select(Refund.tenant_id, Refund.id)
            .where(
                Refund.run_id.is_(None),
                Refund.settled_at.is_(None),
                Refund.mode == "auto",
                Refund.status.in_(("sending", "uncertain")),
                Refund.lease_until < now - STALE,
            )
            .order_by(Refund.lease_until)
            .limit(AT_ONCE)
        ).all()
    by_tenant: defaultdict[int, list[int]] = defaultdict(list)
    for tenant_id, refund_id in stuck:
        by_tenant[tenant_id].append(refund_id)
    for tenant_id, refunds in by_tenant.items():
        with desk.db.tenant_session(tenant_id) as session:
            # Not found again until their jobs have had as much time once more.
            session.execute(
                update(Refund)
                .where(Refund.id.in_(refunds), Refund.lease_until < now - STALE)
                .values(lease_until=now)
                .execution_options(synchronize_session=False)
            )
            facts.note(session, RefundsOpened(tuple(refunds)))
            session.commit()
    return len(stuck)
