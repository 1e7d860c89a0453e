"""Ledger rows in the JSON shapes of Stripe's objects."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

API_VERSION = "2026-10-28.endive"
Json = dict[str, Any]

PAYMENT_COLUMNS = (
    "seq, id, charge, account, amount, refunded, currency, status, disputed, metadata,"
    " description, created"
)
REFUND_COLUMNS = (
    "seq, id, payment, account, amount, currency, status, reason, metadata, pending_reason,"
    " failure_reason, drawn, origin, idempotency_key, created"
)


@dataclass
class Payment:
    """A payment intent and its one charge (None until it is confirmed); minor units."""

    seq: int
    id: str
    charge: str | None
    account: str
    amount: int
    refunded: int
    currency: str
    status: str
    disputed: int
    metadata: str
    description: str | None
    created: int

    def intent(self) -> Json:
        """Return the `payment_intent` object."""
        paid = self.status == "succeeded"
        waits = self.status == "requires_action"
        address = f"https://hooks.stripe.example/3d_secure/{self.id}"
        action = {"type": "redirect_to_url", "redirect_to_url": {"url": address}}
        return {
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": 0,
            "amount_received": self.amount if paid else 0,
            "capture_method": "automatic",
            "client_secret": f"{self.id}_secret_simulated",
            "created": self.created,
            "currency": self.currency,
            "customer": None,
            "description": self.description,
            "latest_charge": self.charge,
            "livemode": False,
            "metadata": json.loads(self.metadata),
            "next_action": action if waits else None,
            "payment_method_types": ["card"],
            "status": self.status,
        }

    def charge_object(self) -> Json:
        """Return the `charge` object."""
        return {
            "id": self.charge,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.amount,
            "amount_refunded": self.refunded,
            "balance_transaction": None,
            "captured": True,
            "created": self.created,
            "currency": self.currency,
            "customer": None,
            "description": self.description,
            "disputed": bool(self.disputed),
            "failure_code": None,
            "failure_message": None,
            "livemode": False,
            "metadata": json.loads(self.metadata),
            "paid": True,
            "payment_intent": self.id,
            "refunded": self.refunded == self.amount,
            "status": "succeeded",
        }


@dataclass
class Refund:
    """A refund as the ledger keeps it; `drawn` tells whether its money has left the balance."""

    seq: int
    id: str
    payment: str
    account: str
    amount: int
    currency: str
    status: str
    reason: str | None
    metadata: str
    pending_reason: str | None
    failure_reason: str | None
    drawn: int
    origin: str
    idempotency_key: str | None
    created: int

    def shape(self, charge: str | None) -> Json:
        """Return the `refund` object; fields that only some refunds have are left out."""
        shape: Json = {
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": None,
            "charge": charge,
            "created": self.created,
            "currency": self.currency,
            "destination_details": None,
            "metadata": json.loads(self.metadata),
            "payment_intent": self.payment,
            "reason": self.reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": self.status,
            "transfer_reversal": None,
        }
        if self.pending_reason is not None:
            shape["pending_reason"] = self.pending_reason
        if self.failure_reason is not None:
            shape["failure_reason"] = self.failure_reason
        return shape


def listed(url: str, data: list[Json], *, has_more: bool) -> Json:
    """Return Stripe's `list` object."""
    return {"object": "list", "url": url, "has_more": has_more, "data": data}


def dispute(payment: Payment, identifier: str, reason: str, created: int) -> Json:
    """Return the `dispute` object over the whole amount of a payment."""
    return {
        "id": identifier,
        "object": "dispute",
        "amount": payment.amount,
        "charge": payment.charge,
        "created": created,
        "currency": payment.currency,
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": payment.id,
        "reason": reason,
        "status": "needs_response",
    }
