"""What a refund's state may become, and what that means for the money. Pure.

One direction only: an open refund is settled, a settled one may still fail, and what is done
never goes back to being under way, whatever order the provider's messages come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from meet2be.payments.provider import META_REFUND, ProviderRefund, RefundStatus

OPEN = ("planned", "sending", "uncertain")
HOLDS_RESERVATION = (*OPEN, "pending")

# An error that the provider stored under the key: give it time before it is asked once more.
STORED_ERROR = "stored_error"
STORED_ERROR_WAIT = timedelta(minutes=15)
# Closed by us because the provider does not have it; a new one was made in its place.
NOT_MADE = "not_made"
ALREADY_REFUNDED = "already_refunded"
# Refused because of our own account (key revoked, disconnected): the refund itself is fine.
ACCOUNT_TROUBLE = "account_trouble"
# Refused as our account has too little money: https://docs.stripe.com/error-codes.
NO_FUNDS = "balance_insufficient"

# Keys are not used any more shortly before the provider may forget them.
KEY_MARGIN = timedelta(minutes=10)
# How far the provider's clock and ours may be apart when a refund is matched by amount and time.
CLOCK_SKEW = timedelta(minutes=5)
_MADE = ("succeeded", "pending")
LOOK_AFTER = (2, 10, 30, 120, 600, 1800, 3600)
MAX_LOOKS = 12


@dataclass(frozen=True, slots=True)
class Standing:
    """A refund as the ledger has it."""

    id: int
    uid: str
    payment_id: int
    amount_minor: int
    status: str
    provider_refund_id: str | None
    failure_code: str | None
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """A new status and how the payment's two figures move with it, in minor units."""

    status: str
    reserved: int
    refunded: int


def follow(standing: Standing, told: RefundStatus) -> Change | None:
    """Return what the provider's word changes, None when it is old news."""
    amount = standing.amount_minor
    held = amount if standing.status in HOLDS_RESERVATION else 0
    booked = amount if standing.status == "succeeded" else 0
    match told:
        case "succeeded":
            if standing.status == "succeeded" or _was_ended_by_provider(standing):
                return None
            return Change("succeeded", -held, amount)
        case "pending":
            if standing.status not in OPEN:
                return None
            return Change("pending", 0, 0)
        case "failed" | "cancelled":
            if standing.status in {"failed", "cancelled"}:
                return None
            return Change("failed", -held, -booked)


def _was_ended_by_provider(standing: Standing) -> bool:
    """Tell whether the provider itself said no at the end: an older 'yes' is then old news."""
    return standing.status in {"failed", "cancelled"} and standing.provider_refund_id is not None


def close(standing: Standing, status: str) -> Change | None:
    """Return how an open refund ends without the provider, None when it is not open any more."""
    if standing.status not in OPEN:
        return None
    return Change(status, -standing.amount_minor, 0)


def matching(
    uid: str,
    amount_minor: int,
    sent_at: datetime | None,
    found: Sequence[ProviderRefund],
    known_ids: frozenset[str] = frozenset(),
    *,
    keeps_metadata: bool = True,
) -> ProviderRefund | None:
    """Return which of a payment's refunds is ours: by our mark in its metadata.

    Only for a provider that does not keep metadata is amount and time enough; there, one that
    carries another mark, or that the ledger knows as another, is never taken.
    """
    for refund in found:
        if refund.metadata.get(META_REFUND) == uid:
            return refund
    if keeps_metadata or sent_at is None:
        return None
    for refund in found:
        fits = refund.amount_minor == amount_minor and refund.id not in known_ids
        in_time = refund.created_at >= sent_at - CLOCK_SKEW
        if fits and in_time and META_REFUND not in refund.metadata and refund.status in _MADE:
            return refund
    return None


def may_repeat(sent_at: datetime | None, now: datetime, window: timedelta) -> bool:
    """Tell whether the same key is still sure to be honoured."""
    return sent_at is not None and now < sent_at + window - KEY_MARGIN


def look_after(attempts: int) -> timedelta | None:
    """Return how long to wait before the next look-up; None: a person decides from here on."""
    if attempts >= MAX_LOOKS:
        return None
    return timedelta(seconds=LOOK_AFTER[min(attempts, len(LOOK_AFTER)) - 1])
