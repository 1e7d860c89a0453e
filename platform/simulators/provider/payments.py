"""Payments: creation in bulk and one by one, look-up, disputes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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


def create(ledger: Ledger, account: str, form: Json) -> Json:
    """Create one payment intent, paid at once when `confirm` is true."""
    confirm = form.get("confirm") == "true"
    identifier = new_id("pi")
    ledger.store.write(
        "INSERT INTO payments (id, charge, account, amount, currency, status, metadata,"
        " description, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identifier,
            new_id("ch") if confirm else None,
            account,
            form["amount"],
            form["currency"],
            "succeeded" if confirm else "requires_payment_method",
            json.dumps(form.get("metadata", {})),
            form.get("description"),
            int(ledger.clock.now()),
        ),
    )
    if confirm:
        ledger.move_balance(account, form["currency"], form["amount"])
    return get(ledger, identifier, account, "payment_intent", "intent").intent()


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
