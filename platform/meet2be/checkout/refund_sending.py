"""Sending a refund that no cancel run looks after: asked, booked, followed; one job each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.cancellations.calls import Caller
from meet2be.cancellations.claiming import Task
from meet2be.cancellations.following import rule
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.steps import Outcome, Wait
from meet2be.payments.ledger import ACCOUNT_TROUBLE, ALREADY_REFUNDED, NOT_MADE
from meet2be.payments.models import Payment, Refund
from meet2be.payments.provider import META_REFUND, META_TENANT, RefundOrder
from meet2be.payments.services import LEASE, record_external
from meet2be.payments.statements import INSERT_ATTEMPTS, LAST_ATTEMPTS
from meet2be.payments.verdicts import Later, RefundedElsewhere, Ruling, Unknown
from meet2be.refunding.opening import NOBODY, Share, left_of, open_shares
from meet2be.tenancy.models import Tenant

MOST_REFUNDS = 5
"""So often a refund that the provider did not make is begun anew."""


def send_refund(
    desk: CheckoutDesk, tenant_id: int, refund_id: int, ensure_lease: Callable[[], None]
) -> Outcome:
    """Ask for a refund and book the answer; `Wait` until it is to be looked up."""
    with desk.db.tenant_session(tenant_id) as session:
        task = _claim(session, refund_id, desk.clock.now())
        session.commit()
    if not isinstance(task, Task):
        return task
    ruling = Caller(desk.payments, desk.clock, ensure_lease).carry_out(task)
    with desk.db.tenant_session(tenant_id) as session:
        outcome = _book(session, desk, tenant_id, ruling)
        session.commit()
    return outcome


def _claim(session: Session, refund_id: int, now: datetime) -> Task | Outcome:
    refund = session.scalar(select(Refund).where(Refund.id == refund_id).with_for_update())
    if refund is None or refund.status not in {"sending", "uncertain"}:
        return "stop"
    if refund.payment_id is None:
        return "stop"
    is_first = refund.lease_token == NOBODY
    if not is_first and refund.lease_until is not None and refund.lease_until > now:
        return Wait((refund.lease_until - now).total_seconds())
    attempt = 1 if is_first else _next_attempt(session, refund, now)
    refund.lease_token, refund.lease_until = "order-refund", now + LEASE
    payment = session.get_one(Payment, refund.payment_id)
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
        f"{payment.provider}:{payment.provider_account or ''}",
        refund.sent_at or now,
        resolve=not is_first,
        failure_code=refund.failure_code,
        known_ids=frozenset(each for each in session.scalars(others) if each),
    )


def _next_attempt(session: Session, refund: Refund, now: datetime) -> int:
    connection = session.connection()
    found = connection.execute(
        LAST_ATTEMPTS, {"tenant": refund.tenant_id, "refunds": [refund.id]}
    ).all()
    number = 1 + max((int(n) for _, n in found), default=0)
    row = {"tenant": refund.tenant_id, "refund": refund.id, "number": number, "now": now}
    INSERT_ATTEMPTS.run_many(connection, [row])
    return number


def _book(session: Session, desk: CheckoutDesk, tenant_id: int, ruling: Ruling) -> Outcome:
    now = desk.clock.now()
    rule(session, desk.desk, tenant_id, [ruling], now)
    refund = session.get_one(Refund, ruling.refund_id, populate_existing=True)
    verdict = ruling.verdict
    if isinstance(verdict, RefundedElsewhere) and refund.payment_id is not None:
        record_external(session.connection(), tenant_id, refund.payment_id, verdict.found, now)
    if refund.status in {"sending", "uncertain"}:
        at = verdict.at if isinstance(verdict, Later) else None
        at = verdict.look_at if isinstance(verdict, Unknown) else at
        return "stop" if at is None else Wait(max(0.5, (at - now).total_seconds()))
    if refund.failure_code in {NOT_MADE, ACCOUNT_TROUBLE, ALREADY_REFUNDED}:
        _begin_anew(session, refund, now)
    return "stop"


def _begin_anew(session: Session, refund: Refund, now: datetime) -> None:
    """Open another refund for what the payment still has, under a key of its own."""
    if refund.payment_id is None or refund.seq >= MOST_REFUNDS:
        return
    payment = session.get_one(Payment, refund.payment_id, populate_existing=True)
    left = left_of(session, payment.id)
    share = Share(min(left, refund.amount_minor), refund.attendee_id)
    open_shares(
        session, payment, [share], now, source=refund.source, reason=refund.reason or "again",
        by=refund.requested_by, invoice_id=refund.invoice_id,
    )  # fmt: skip
