"""The ledger told from outside: every charge and refund, sums per currency, calls by kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from simulators.provider.shapes import PAYMENT_COLUMNS, REFUND_COLUMNS, Payment, Refund

if TYPE_CHECKING:
    from simulators.provider.ledger import Ledger
    from simulators.provider.shapes import Json


def export(ledger: Ledger) -> Json:
    """Return the whole ledger: the summary with all `charges` and all `refunds`, oldest first."""
    charges = {
        payment.id: payment
        for payment in (
            Payment(*row)
            for row in ledger.store.rows(f"SELECT {PAYMENT_COLUMNS} FROM payments ORDER BY seq")  # noqa: S608
        )
    }
    refunds = [
        Refund(*row)
        for row in ledger.store.rows(f"SELECT {REFUND_COLUMNS} FROM refunds ORDER BY seq")  # noqa: S608
    ]
    return {
        **summary(ledger),
        "charges": [_charge(payment) for payment in charges.values()],
        "refunds": [_refund(refund, charges[refund.payment].charge) for refund in refunds],
    }


def summary(ledger: Ledger) -> Json:
    """Return counts and sums in minor units; cheap enough to ask for every second."""
    sums: dict[str, dict[str, int]] = {}
    rows = ledger.store.rows(
        "SELECT currency, count(*), sum(amount), sum(refunded) FROM payments GROUP BY currency"
    )
    for currency, count, amount, refunded in rows:
        sums[currency] = {"payments": count, "charged": amount, "refunded": refunded}
    refunds: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
    rows = ledger.store.rows(
        "SELECT currency, origin, status, count(*), sum(amount) FROM refunds GROUP BY 1, 2, 3"
    )
    for currency, origin, status, count, amount in rows:
        by_origin = refunds.setdefault(currency, {}).setdefault(origin, {})
        by_origin[status] = {"count": count, "amount": amount}
    twice = ledger.store.rows(
        "SELECT payment, count(*) FROM refunds"
        " WHERE origin = 'api' AND status NOT IN ('failed', 'canceled')"
        " GROUP BY payment HAVING count(*) > 1"
    )
    waiting = ledger.store.row("SELECT count(*) FROM deliveries WHERE state = 'waiting'")
    keys = ledger.store.row("SELECT count(*) FROM idempotency_keys")
    return {
        "now": ledger.clock.now(),
        "payments": sums,
        "refunds_by_currency": refunds,
        "payments_with_several_api_refunds": {payment: count for payment, count in twice},  # noqa: C416 - typed
        "balances": [
            {"account": account, "currency": currency, "available": available}
            for account, currency, available in ledger.store.rows("SELECT * FROM balances")
        ],
        "deliveries_waiting": 0 if waiting is None else waiting[0],
        "idempotency_keys": 0 if keys is None else keys[0],
        "calls": dict(sorted(ledger.calls.items())),
    }


def _charge(payment: Payment) -> Json:
    return {
        "payment_intent": payment.id,
        "charge": payment.charge,
        "account": payment.account,
        "amount": payment.amount,
        "refunded": payment.refunded,
        "currency": payment.currency,
        "disputed": bool(payment.disputed),
        "status": payment.status,
        "metadata": json.loads(payment.metadata),
        "created": payment.created,
    }


def _refund(refund: Refund, charge: str | None) -> Json:
    return {
        "id": refund.id,
        "payment_intent": refund.payment,
        "charge": charge,
        "account": refund.account,
        "amount": refund.amount,
        "currency": refund.currency,
        "status": refund.status,
        "reason": refund.reason,
        "pending_reason": refund.pending_reason,
        "failure_reason": refund.failure_reason,
        "metadata": json.loads(refund.metadata),
        "origin": refund.origin,
        "idempotency_key": refund.idempotency_key,
        "created": refund.created,
    }
