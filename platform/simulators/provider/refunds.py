"""Refunds: what may be refunded, what becomes of it, and the events that tell of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulators.provider import payments
from simulators.provider.behaviour import REFUND_CREATE
from simulators.provider.errors import StripeError, missing
from simulators.provider.events import emit
from simulators.provider.ledger import new_id
from simulators.provider.shapes import REFUND_COLUMNS, Refund

if TYPE_CHECKING:
    from simulators.provider.ledger import Ledger
    from simulators.provider.shapes import Json, Payment

OPEN = ("pending", "requires_action")


@dataclass
class Outcome:
    """How a refund that was accepted starts out and what becomes of it later."""

    status: str = "succeeded"
    pending_reason: str | None = None
    settle_after: float | None = None
    settle_status: str = "succeeded"
    settle_failure: str | None = None


@dataclass
class Made:
    """A refund that was made, and the deliveries of its events."""

    shape: Json
    deliveries: list[int] = field(default_factory=list)


def create(ledger: Ledger, account: str, form: Json, key: str | None) -> Made:
    """Refund a payment as the API was asked to; raises Stripe's refusals."""
    if "charge" in form:
        payment = payments.get(ledger, form["charge"], account, "charge", "charge")
    else:
        identifier = form["payment_intent"]
        payment = payments.get(ledger, identifier, account, "payment_intent", "payment_intent")
    _refuse_on_demand(ledger, payment)
    amount = _allowed_amount(payment, form.get("amount"))
    outcome = _outcome(ledger, payment, amount)
    metadata = json.dumps(form.get("metadata", {}))
    return _write(ledger, payment, amount, outcome, metadata, form.get("reason"), "api", key)


def create_by_dashboard(ledger: Ledger, identifier: str, amount: int | None) -> Made:
    """Refund a payment as a person at the provider's dashboard would: no key, no metadata."""
    payment = payments.find(ledger, identifier)
    if payment is None:
        raise missing("payment_intent", identifier, "payment_intent")
    allowed = _allowed_amount(payment, amount)
    return _write(ledger, payment, allowed, Outcome(), "{}", None, "dashboard", None)


def find(ledger: Ledger, identifier: str, account: str | None = None) -> Refund:
    """Return a refund; raises a 404 when this account has none such."""
    row = ledger.store.row(
        f"SELECT {REFUND_COLUMNS} FROM refunds WHERE id = ?",  # noqa: S608 - a constant
        (identifier,),
    )
    if row is None or (account is not None and row[3] != account):
        raise missing("refund", identifier, "id")
    return Refund(*row)


def shape(ledger: Ledger, refund: Refund) -> Json:
    """Return Stripe's `refund` object of a refund."""
    row = ledger.store.row("SELECT charge FROM payments WHERE id = ?", (refund.payment,))
    return refund.shape(None if row is None else row[0])


def update_metadata(ledger: Ledger, account: str, identifier: str, changes: Json) -> Json:
    """Merge metadata into a refund; an empty value removes its key."""
    refund = find(ledger, identifier, account)
    merged = json.loads(refund.metadata) | changes
    refund.metadata = json.dumps({key: value for key, value in merged.items() if value != ""})
    ledger.store.write("UPDATE refunds SET metadata = ? WHERE id = ?", (refund.metadata, refund.id))
    return shape(ledger, refund)


def settle(ledger: Ledger, identifier: str, status: str, failure_reason: str | None) -> Made:
    """Give a refund its (new) end: `succeeded`, `failed` or `canceled`; money follows.

    A pending refund may take any of them, a succeeded one may still fail. Raises a 400 otherwise.
    """
    refund = find(ledger, identifier)
    later_failure = refund.status == "succeeded" and status == "failed"
    if status not in {"succeeded", "failed", "canceled"} or not (
        refund.status in OPEN or later_failure
    ):
        message = f"Refund '{refund.id}' is '{refund.status}' and cannot become '{status}'."
        raise StripeError(message, param="status")
    previous = refund.status
    _move_money(ledger, refund, status)
    refund.status, refund.pending_reason = status, None
    refund.failure_reason = (failure_reason or "unknown") if status == "failed" else None
    ledger.store.write(
        "UPDATE refunds SET status = ?, pending_reason = NULL, failure_reason = ?, drawn = ?,"
        " settle_at = NULL WHERE id = ?",
        (refund.status, refund.failure_reason, refund.drawn, refund.id),
    )
    body = shape(ledger, refund)
    events: list[tuple[str, Json, Json | None]] = [
        ("refund.updated", body, {"status": previous}),
    ]
    if status == "failed":
        events.append(("refund.failed", body, None))
    return Made(body, emit(ledger, refund.account, events))


def settle_due(ledger: Ledger, limit: int = 200) -> bool:
    """Settle what has come due by the simulated clock; tell whether anything was."""
    due = ledger.store.rows(
        "SELECT id, settle_status, settle_failure FROM refunds"
        " WHERE settle_at <= ? ORDER BY settle_at, seq LIMIT ?",
        (ledger.clock.now(), limit),
    )
    for identifier, status, failure in due:
        settle(ledger, identifier, status, failure)
    return bool(due)


def set_balance(ledger: Ledger, account: str, currency: str, available: int) -> None:
    """Set what is available, then pay pending refunds that lacked funds, oldest first."""
    ledger.move_balance(account, currency, available - ledger.balance(account, currency))
    waiting = ledger.store.rows(
        "SELECT id, amount FROM refunds WHERE status = 'pending' AND account = ? AND currency = ?"
        " AND pending_reason = 'insufficient_funds' ORDER BY seq",
        (account, currency),
    )
    for identifier, amount in waiting:
        if ledger.balance(account, currency) < amount:
            return
        settle(ledger, identifier, "succeeded", None)


def _refuse_on_demand(ledger: Ledger, payment: Payment) -> None:
    rule = ledger.behaviour.book.draw("refuse", REFUND_CREATE, payment.id)
    if rule is None:
        return
    code = str(rule.options.get("code", "expired_or_canceled_card"))
    raise StripeError(
        str(rule.options.get("message", f"The refund was refused: {code}.")),
        status=int(rule.options.get("status", 400)),
        code=code,
        param=rule.options.get("param"),
    )


def _allowed_amount(payment: Payment, amount: int | None) -> int:
    """Return the amount to refund, all that is left by default; raises Stripe's refusals."""
    if payment.charge is None:
        message = f"The payment '{payment.id}' has no successful charge to refund."
        raise StripeError(message, param="payment_intent")
    if payment.disputed:
        message = f"Charge {payment.charge} is disputed and cannot be refunded."
        raise StripeError(message, code="charge_disputed")
    left = payment.amount - payment.refunded
    if left == 0:
        message = f"Charge {payment.charge} was refunded in full before."
        raise StripeError(message, code="charge_already_refunded")
    if amount is not None and amount > left:
        message = f"The refund of {amount} is more than the {left} left of {payment.charge}."
        raise StripeError(message, param="amount")
    return left if amount is None else amount


def _outcome(ledger: Ledger, payment: Payment, amount: int) -> Outcome:
    book = ledger.behaviour.book
    if ledger.balance(payment.account, payment.currency) < amount:
        if ledger.behaviour.funds == "error":
            message = f"The balance in {payment.currency} is too low for a refund of {amount}."
            raise StripeError(message, code="balance_insufficient")
        if ledger.behaviour.funds == "pending":
            return Outcome("pending", "insufficient_funds")
    if rule := book.draw("pending", REFUND_CREATE, payment.id):
        return Outcome(
            "pending",
            str(rule.options.get("reason", "processing")),
            rule.options.get("settle_after"),
            str(rule.options.get("settle_status", "succeeded")),
            rule.options.get("failure_reason"),
        )
    if rule := book.draw("fail_later", REFUND_CREATE, payment.id):
        reason = str(rule.options.get("failure_reason", "expired_or_canceled_card"))
        after = float(rule.options.get("after", 0))
        return Outcome("succeeded", None, after, "failed", reason)
    return Outcome()


def _write(
    ledger: Ledger,
    payment: Payment,
    amount: int,
    outcome: Outcome,
    metadata: str,
    reason: str | None,
    origin: str,
    key: str | None,
) -> Made:
    now = ledger.clock.now()
    drawn = int(outcome.pending_reason != "insufficient_funds")
    settle_at = None if outcome.settle_after is None else now + outcome.settle_after
    refund = Refund(
        0, new_id("re"), payment.id, payment.account, amount, payment.currency, outcome.status,
        reason, metadata, outcome.pending_reason, None, drawn, origin, key, int(now),
    )  # fmt: skip
    ledger.store.write(
        "INSERT INTO refunds (id, payment, account, amount, currency, status, reason, metadata,"
        " pending_reason, drawn, settle_at, settle_status, settle_failure, origin,"
        " idempotency_key, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            refund.id, refund.payment, refund.account, amount, refund.currency, refund.status,
            reason, metadata, refund.pending_reason, drawn, settle_at, outcome.settle_status,
            outcome.settle_failure, origin, key, refund.created,
        ),
    )  # fmt: skip
    previous = {"amount_refunded": payment.refunded, "refunded": False}
    _add_refunded(ledger, refund, amount)
    payment.refunded += amount
    if drawn:
        ledger.move_balance(refund.account, refund.currency, -amount)
    body = refund.shape(payment.charge)
    events: list[tuple[str, Json, Json | None]] = [
        ("refund.created", body, None),
        ("charge.refunded", payment.charge_object(), previous),
    ]
    return Made(body, emit(ledger, refund.account, events))


def _move_money(ledger: Ledger, refund: Refund, status: str) -> None:
    """Draw the money of a refund that goes through, give back that of one that does not."""
    if status == "succeeded":
        if not refund.drawn:
            ledger.move_balance(refund.account, refund.currency, -refund.amount)
            refund.drawn = 1
        return
    _add_refunded(ledger, refund, -refund.amount)
    if refund.drawn:
        ledger.move_balance(refund.account, refund.currency, refund.amount)
        refund.drawn = 0


def _add_refunded(ledger: Ledger, refund: Refund, amount: int) -> None:
    ledger.store.write(
        "UPDATE payments SET refunded = refunded + ? WHERE id = ?", (amount, refund.payment)
    )
