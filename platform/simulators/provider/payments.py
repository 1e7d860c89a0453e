"""Payments: creation in bulk and one by one, cards that fail or wait, look-up, disputes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulators.provider.behaviour import PAYMENT_CREATE
from simulators.provider.errors import StripeError, missing
from simulators.provider.events import emit
from simulators.provider.ledger import new_id
from simulators.provider.shapes import PAYMENT_COLUMNS, Payment, dispute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulators.provider.ledger import Ledger
    from simulators.provider.shapes import Json


def find(ledger: Ledger, identifier: str, account: str | None = None) -> Payment | None:
    """Return a payment by the id of its intent or charge; of any account when none is given."""
    column = "charge" if identifier.startswith("ch_") else "id"
    row = ledger.store.row(
        f"SELECT {PAYMENT_COLUMNS} FROM payments WHERE {column} = ?",  # noqa: S608 - constants
        (identifier,),
    )
    if row is None or (account is not None and row[3] != account):
        return None
    return Payment(*row)


def get(ledger: Ledger, identifier: str, account: str, what: str, param: str) -> Payment:
    """Return a payment of this account; raises Stripe's 404 when there is none."""
    payment = find(ledger, identifier, account)
    if payment is None:
        raise missing(what, identifier, param)
    return payment


# Stripe's test payment methods: https://docs.stripe.com/testing
DECLINES = {
    "pm_card_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", None),
    "pm_card_chargeDeclinedIncorrectCvc": ("incorrect_cvc", None),
    "pm_card_chargeDeclinedProcessingError": ("processing_error", None),
}
WAITING = {
    "pm_card_threeDSecure2Required": "requires_action",
    "pm_card_authenticationRequired": "requires_action",
    "pm_usBankAccount_processing": "processing",
}
PENDING = ("processing", "requires_action")
_QUERY = re.compile(r"""metadata\[['"]([^'"]+)['"]\]:\s*['"]([^'"]*)['"]""")


@dataclass
class MadePayment:
    """A payment that was made or settled, and the deliveries of its events."""

    shape: Json
    deliveries: list[int] = field(default_factory=list)


def create(ledger: Ledger, account: str, form: Json) -> MadePayment:
    """Create one payment intent, paid at once when `confirm` is true and the card allows it.

    Raises Stripe's 402 for a card that is declined; nothing is kept of that but the answer.
    """
    confirm = form.get("confirm") == "true"
    method = str(form.get("payment_method") or "")
    status = _first_status(ledger, method) if confirm else "requires_payment_method"
    paid = status == "succeeded"
    identifier = new_id("pi")
    ledger.store.write(
        "INSERT INTO payments (id, charge, account, amount, currency, status, metadata,"
        " description, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identifier,
            new_id("ch") if paid else None,
            account,
            form["amount"],
            form["currency"],
            status,
            json.dumps(form.get("metadata", {})),
            form.get("description"),
            int(ledger.clock.now()),
        ),
    )
    if paid:
        ledger.move_balance(account, form["currency"], form["amount"])
    shape = get(ledger, identifier, account, "payment_intent", "intent").intent()
    if not method or not confirm:
        return MadePayment(shape)
    kind = {"succeeded": "succeeded", "processing": "processing"}.get(status, "requires_action")
    return MadePayment(shape, emit(ledger, account, [(f"payment_intent.{kind}", shape, None)]))


def _first_status(ledger: Ledger, method: str) -> str:
    rule = ledger.behaviour.book.draw("decline", PAYMENT_CREATE, method)
    code, reason = DECLINES.get(method, (None, None))
    if rule is not None:
        code, reason = str(rule.options.get("code", "card_declined")), None
    if code is not None:
        raise StripeError(
            "Your card was declined." if code == "card_declined" else f"The card failed: {code}.",
            status=402, kind="card_error", code=code, decline_code=reason,
        )  # fmt: skip
    if rule := ledger.behaviour.book.draw("pending", PAYMENT_CREATE, method):
        return str(rule.options.get("reason", "processing"))
    return WAITING.get(method, "succeeded")


def settle(ledger: Ledger, identifier: str, status: str) -> MadePayment:
    """Let a payment that waits succeed, fail (`requires_payment_method`) or be `canceled`."""
    payment = find(ledger, identifier)
    if payment is None:
        raise missing("payment_intent", identifier, "payment_intent")
    if payment.status not in PENDING or status not in _ENDS:
        message = f"Payment '{payment.id}' is '{payment.status}' and cannot become '{status}'."
        raise StripeError(message, param="status")
    paid = status == "succeeded"
    ledger.store.write(
        "UPDATE payments SET status = ?, charge = ? WHERE id = ?",
        (status, new_id("ch") if paid else None, payment.id),
    )
    if paid:
        ledger.move_balance(payment.account, payment.currency, payment.amount)
    shape = get(ledger, payment.id, payment.account, "payment_intent", "intent").intent()
    return MadePayment(shape, emit(ledger, payment.account, [(_ENDS[status], shape, None)]))


_ENDS = {
    "succeeded": "payment_intent.succeeded",
    "requires_payment_method": "payment_intent.payment_failed",
    "canceled": "payment_intent.canceled",
}


def search(ledger: Ledger, account: str, query: str) -> list[Json]:
    """Return the payments whose metadata has what `query` asks for, the newest first."""
    found = _QUERY.fullmatch(query.strip())
    if found is None:
        message = f"The search '{query}' is not one of metadata['name']:'value'."
        raise StripeError(message, param="query")
    rows = ledger.store.rows(
        f"SELECT {PAYMENT_COLUMNS} FROM payments WHERE account = ?"  # noqa: S608 - constants
        " AND json_extract(metadata, ?) = ? ORDER BY seq DESC LIMIT 100",
        (account, f'$."{found[1]}"', found[2]),
    )
    return [Payment(*row).intent() for row in rows]


def create_many(ledger: Ledger, items: Sequence[dict[str, Any]]) -> list[Json]:
    """Create paid payments in one go; one that is there already with the same sum is left alone.

    Each item: amount, currency, and if wanted ref, payment_intent, charge, refunded, disputed,
    metadata, account. Raises a 400 naming the item when one cannot be taken; then none is.
    """
    created = int(ledger.clock.now())
    results: list[Json] = []
    payments: list[tuple[object, ...]] = []
    before: list[tuple[object, ...]] = []
    balances: dict[tuple[str, str], int] = {}
    for index, item in enumerate(items):
        _check(index, item)
        known = find(ledger, str(item.get("payment_intent") or ""))
        if known is not None:
            results.append(_known(index, item, known))
            continue
        identifier = str(item.get("payment_intent") or new_id("pi"))
        charge = str(item.get("charge") or new_id("ch"))
        account, currency = str(item.get("account") or ""), str(item["currency"]).lower()
        refunded = int(item.get("refunded") or 0)
        metadata = {str(key): str(value) for key, value in (item.get("metadata") or {}).items()}
        if item.get("ref") is not None:
            metadata.setdefault("ref", str(item["ref"]))
        payments.append(
            (identifier, charge, account, item["amount"], refunded, currency,
             int(bool(item.get("disputed"))), json.dumps(metadata), created)
        )  # fmt: skip
        if refunded:
            before.append((new_id("re"), identifier, account, refunded, currency, created))
        key = account, currency
        balances[key] = balances.get(key, 0) + int(item["amount"]) - refunded
        results.append(
            {"ref": item.get("ref"), "payment_intent": identifier, "charge": charge, "new": True}
        )
    ledger.store.write_many(
        "INSERT INTO payments (id, charge, account, amount, refunded, currency, status, disputed,"
        " metadata, created) VALUES (?, ?, ?, ?, ?, ?, 'succeeded', ?, ?, ?)",
        payments,
    )
    ledger.store.write_many(
        "INSERT INTO refunds (id, payment, account, amount, currency, status, metadata, drawn,"
        " origin, created) VALUES (?, ?, ?, ?, ?, 'succeeded', '{}', 1, 'before', ?)",
        before,
    )
    for (account, currency), amount in balances.items():
        ledger.move_balance(account, currency, amount)
    return results


def open_dispute(ledger: Ledger, identifier: str, reason: str) -> tuple[Json, list[int]]:
    """Mark a payment disputed; return the dispute and the deliveries of its event."""
    payment = find(ledger, identifier)
    if payment is None:
        raise missing("payment_intent", identifier, "payment_intent")
    ledger.store.write("UPDATE payments SET disputed = 1 WHERE id = ?", (payment.id,))
    body = dispute(payment, new_id("dp"), reason, int(ledger.clock.now()))
    return body, emit(ledger, payment.account, [("charge.dispute.created", body, None)])


def _check(index: int, item: dict[str, Any]) -> None:
    amount, refunded = item.get("amount"), item.get("refunded") or 0
    if not isinstance(amount, int) or amount <= 0 or not 0 <= refunded <= amount:
        message = (
            f"Payment {index} has amount '{amount}' and refunded '{refunded}'; the amount must be"
            " a positive whole number of minor units and refunded between 0 and it."
        )
        raise StripeError(message, param=f"{index}[amount]")
    if not isinstance(item.get("currency"), str):
        message = f"Payment {index} has no currency; give its ISO code, such as 'eur'."
        raise StripeError(message, param=f"{index}[currency]")


def _known(index: int, item: dict[str, Any], payment: Payment) -> Json:
    if (item["amount"], item["currency"].lower()) != (payment.amount, payment.currency):
        message = (
            f"Payment {index}: '{payment.id}' exists with {payment.amount} {payment.currency},"
            f" not {item['amount']} {item['currency']}; use another id or another folder."
        )
        raise StripeError(message, status=409, param=f"{index}[payment_intent]")
    return {
        "ref": item.get("ref"),
        "payment_intent": payment.id,
        "charge": payment.charge,
        "new": False,
    }
