"""Checkout sessions: the provider's own page on which a buyer pays, made, paid, expired."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators.provider import payments
from simulators.provider.errors import StripeError, missing
from simulators.provider.events import emit
from simulators.provider.ledger import new_id

if TYPE_CHECKING:
    from simulators.provider.ledger import Ledger
    from simulators.provider.shapes import Json

COLUMNS = (
    "seq, id, account, status, amount, currency, title, reference, email, metadata,"
    " payment_metadata, success_url, cancel_url, payment, expires_at, created"
)
# https://docs.stripe.com/api/checkout/sessions/create: half an hour to a day from its creation.
SHORTEST, LONGEST = 30 * 60, 24 * 3600
# What a buyer may do on the page, and the test card that it is.
CARDS = {
    "accepted": "pm_card_visa",
    "declined": "pm_card_chargeDeclined",
    "bank": "pm_usBankAccount_processing",
}


@dataclass
class Session:
    """A page on which one sum is to be paid; minor units."""

    seq: int
    id: str
    account: str
    status: str
    amount: int
    currency: str
    title: str
    reference: str | None
    email: str | None
    metadata: str
    payment_metadata: str
    success_url: str
    cancel_url: str | None
    payment: str | None
    expires_at: int
    created: int

    def shape(self, ledger: Ledger) -> Json:
        """Return the `checkout.session` object."""
        payment = payments.find(ledger, self.payment) if self.payment else None
        is_paid = payment is not None and payment.status == "succeeded"
        is_open = self.status == "open"
        return {
            "id": self.id,
            "object": "checkout.session",
            "amount_total": self.amount,
            "cancel_url": self.cancel_url,
            "client_reference_id": self.reference,
            "created": self.created,
            "currency": self.currency,
            "customer_email": self.email,
            "expires_at": self.expires_at,
            "livemode": False,
            "metadata": json.loads(self.metadata),
            "mode": "payment",
            "payment_intent": self.payment,
            "payment_method_types": ["card"],
            "payment_status": "paid" if is_paid else "unpaid",
            "status": self.status,
            "success_url": self.success_url,
            "url": f"{ledger.public_url}/pay/{self.id}" if is_open else None,
        }


def find(ledger: Ledger, identifier: str, account: str | None = None) -> Session:
    """Return a session; of any account when none is given. Raises Stripe's 404."""
    row = ledger.store.row(
        f"SELECT {COLUMNS} FROM sessions WHERE id = ?",  # noqa: S608 - constants
        (identifier,),
    )
    if row is None or (account is not None and row[2] != account):
        raise missing("checkout.session", identifier, "session")
    return Session(*row)


def create(ledger: Ledger, account: str, form: Json) -> Json:
    """Open a page for the sum of the line items; raises Stripe's 400."""
    now = int(ledger.clock.now())
    amount, currency, title = _sum_of(form)
    expires_at = int(form.get("expires_at", now + LONGEST))
    if not now + SHORTEST <= expires_at <= now + LONGEST:
        message = "The `expires_at` timestamp must be 30 minutes to 24 hours from now."
        raise StripeError(message, param="expires_at")
    identifier = new_id("cs_test")
    ledger.store.write(
        "INSERT INTO sessions (id, account, status, amount, currency, title, reference, email,"
        " metadata, payment_metadata, success_url, cancel_url, expires_at, created)"
        " VALUES (?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identifier, account, amount, currency, title, form.get("client_reference_id"),
            form.get("customer_email"), json.dumps(form.get("metadata", {})),
            json.dumps((form.get("payment_intent_data") or {}).get("metadata", {})),
            form["success_url"], form.get("cancel_url"), expires_at, now,
        ),
    )  # fmt: skip
    return find(ledger, identifier).shape(ledger)


def _sum_of(form: Json) -> tuple[int, str, str]:
    for name in ("mode", "line_items", "success_url"):
        if not form.get(name):
            message = f"Missing required param: {name}."
            raise StripeError(message, code="parameter_missing", param=name)
    amount, currency, title = 0, "", ""
    for item in form["line_items"]:
        price = item["price_data"]
        amount += int(price["unit_amount"]) * int(item.get("quantity", 1))
        currency = str(price["currency"]).lower()
        title = title or str(price["product_data"]["name"])
    return amount, currency, title


def expire(ledger: Ledger, account: str | None, identifier: str) -> tuple[Json, list[int]]:
    """Close a page that is open; return the session and the deliveries of its event."""
    session = find(ledger, identifier, account)
    if session.status != "open":
        message = f"Only sessions with a status in ['open'] can be expired, not '{session.status}'."
        raise StripeError(message, param="session")
    ledger.store.write("UPDATE sessions SET status = 'expired' WHERE id = ?", (identifier,))
    session.status = "expired"
    shape = session.shape(ledger)
    return shape, emit(ledger, session.account, [("checkout.session.expired", shape, None)])


def expire_due(ledger: Ledger) -> None:
    """Close every page whose time is over by the simulated clock."""
    due = ledger.store.rows(
        "SELECT id FROM sessions WHERE status = 'open' AND expires_at <= ?", (ledger.clock.now(),)
    )
    for (identifier,) in due:
        expire(ledger, None, identifier)


def next_expiry(ledger: Ledger) -> float | None:
    """Return when the next open page expires, None for never."""
    row = ledger.store.row("SELECT min(expires_at) FROM sessions WHERE status = 'open'")
    return None if row is None or row[0] is None else float(row[0])


def pay(ledger: Ledger, identifier: str, card: str) -> Json:
    """Pay an open page with one of `CARDS`; raises a 402 for one that is declined.

    The page stays open then. A bank's payment takes its time: the session is complete, not paid.
    """
    session = find(ledger, identifier)
    if session.status != "open" or session.expires_at <= ledger.clock.now():
        message = f"The session is '{session.status}' and cannot be paid any more."
        raise StripeError(message, param="session")
    form = {
        "amount": session.amount, "currency": session.currency, "confirm": "true",
        "payment_method": CARDS[card], "metadata": json.loads(session.payment_metadata),
        "description": session.title,
    }  # fmt: skip
    made = payments.create(ledger, session.account, form)
    session.payment, session.status = str(made.shape["id"]), "complete"
    ledger.store.write(
        "UPDATE sessions SET status = 'complete', payment = ? WHERE id = ?",
        (session.payment, identifier),
    )
    shape = session.shape(ledger)
    emit(ledger, session.account, [("checkout.session.completed", shape, None)])
    return shape


def tell_settled(ledger: Ledger, payment: str, status: str) -> None:
    """Tell of a session whose payment has come in, or has not, after the buyer had left."""
    row = ledger.store.row(
        f"SELECT {COLUMNS} FROM sessions WHERE payment = ?",  # noqa: S608 - constants
        (payment,),
    )
    if row is None:
        return
    session = Session(*row)
    end = "succeeded" if status == "succeeded" else "failed"
    kind = f"checkout.session.async_payment_{end}"
    emit(ledger, session.account, [(kind, session.shape(ledger), None)])
