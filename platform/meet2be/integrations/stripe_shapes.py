"""Stripe's objects in our words and minor units."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from meet2be.integrations.stripe_amounts import from_stripe
from meet2be.payments.provider import (
    META_PAYMENT,
    ChargeStatus,
    EventKind,
    PageStatus,
    PaymentPage,
    ProviderEvent,
    ProviderPayment,
    ProviderRefund,
    RefundStatus,
)

_STATUSES: Mapping[str, RefundStatus] = {
    "succeeded": "succeeded",
    "pending": "pending",
    "requires_action": "pending",
    "failed": "failed",
    "canceled": "cancelled",
}
_KINDS: Mapping[str, EventKind] = {
    "refund.created": "refund",
    "refund.updated": "refund",
    "refund.failed": "refund",
    "charge.refund.updated": "refund",
    "payment_intent.succeeded": "payment_succeeded",
    "payment_intent.payment_failed": "payment_failed",
    "payment_intent.canceled": "payment_failed",
    "charge.dispute.created": "dispute_opened",
    "checkout.session.completed": "page",
    "checkout.session.expired": "page",
    "checkout.session.async_payment_succeeded": "page",
    "checkout.session.async_payment_failed": "page",
}
_PAGE_STATUSES: Mapping[str, PageStatus] = {
    "open": "open", "complete": "complete", "expired": "expired",
}  # fmt: skip


_PAYMENT_KINDS = frozenset(("payment_succeeded", "payment_failed"))
_PAYMENT_STATUSES: Mapping[str, ChargeStatus] = {
    "succeeded": "succeeded",
    "processing": "pending",
    "requires_action": "pending",
    "requires_confirmation": "pending",
    "requires_capture": "pending",
    "requires_payment_method": "failed",
    "canceled": "failed",
}


def refund_of(body: Mapping[str, Any]) -> ProviderRefund:
    """Return the refund in `body`; raises what missing or odd fields raise."""
    currency = str(body["currency"])
    status = str(body["status"])
    return ProviderRefund(
        id=str(body["id"]),
        payment_ref=_id_of(body.get("payment_intent")),
        amount_minor=from_stripe(int(body["amount"]), currency),
        currency=currency.upper(),
        status=_STATUSES[status],
        provider_status=status,
        created_at=_moment(body["created"]),
        pending_reason=body.get("pending_reason"),
        failure_code=body.get("failure_reason"),
        metadata=body.get("metadata") or {},
    )


def payment_of(body: Mapping[str, Any]) -> ProviderPayment:
    """Return the payment in `body`; raises what missing or odd fields raise."""
    currency, status = str(body["currency"]), str(body["status"])
    action = body.get("next_action") or {}
    return ProviderPayment(
        id=str(body["id"]),
        amount_minor=from_stripe(int(body["amount"]), currency),
        currency=currency.upper(),
        status=_PAYMENT_STATUSES[status],
        provider_status=status,
        created_at=_moment(body["created"]),
        action_url=(action.get("redirect_to_url") or {}).get("url"),
        metadata=body.get("metadata") or {},
    )


def page_of(body: Mapping[str, Any]) -> PaymentPage:
    """Return the checkout session in `body`, its payment where that is expanded.

    Raises what missing or odd fields raise.
    """
    paid = body.get("payment_intent")
    url = body.get("url")
    return PaymentPage(
        id=str(body["id"]),
        status=_PAGE_STATUSES[str(body["status"])],
        url=None if url is None else str(url),
        payment=payment_of(paid) if isinstance(paid, Mapping) else None,
    )


def event_of(body: Mapping[str, Any]) -> ProviderEvent:
    """Return the event in `body`; raises what missing or odd fields raise."""
    subject = body["data"]["object"]
    kind = _kind(str(body["type"]), subject)
    is_payment = kind in _PAYMENT_KINDS
    payment_ref = subject["id"] if is_payment else subject.get("payment_intent")
    is_marked = is_payment or kind == "page"
    mark = (subject.get("metadata") or {}).get(META_PAYMENT) if is_marked else None
    return ProviderEvent(
        id=str(body["id"]),
        type=str(body["type"]),
        kind=kind,
        account=body.get("account"),
        livemode=bool(body.get("livemode")),
        created_at=_moment(body["created"]),
        refund=refund_of(subject) if kind == "refund" else None,
        payment_ref=_id_of(payment_ref),
        payment_mark=mark,
    )


def _kind(event_type: str, subject: Mapping[str, Any]) -> EventKind:
    if event_type == "charge.dispute.closed":
        return "dispute_won" if subject.get("status") == "won" else "dispute_lost"
    return _KINDS.get(event_type, "other")


def _id_of(value: Any) -> str | None:
    """Return the id of what may be an id, an expanded object, or nothing."""
    if isinstance(value, Mapping):
        return str(value["id"])
    return None if value is None else str(value)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
