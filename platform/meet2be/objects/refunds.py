"""Refunds, with every call that was made for them."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.orm import Session

from meet2be.cancellations.listing import run_uid_of
from meet2be.objects.base import Moment, Told, Uid
from meet2be.payments import listing
from meet2be.payments.models import Refund

Status = Literal["planned", "sending", "uncertain", "pending", "succeeded", "failed", "cancelled"]
Mode = Literal["auto", "manual", "external", "credit"]


class RefundTold(Told):
    """A decision to pay money back, in minor units of `currency`, and how far it got."""

    uid: Uid
    order_code: str
    amount_minor: int
    currency: str
    mode: Mode
    source: str
    status: Status
    provider: str | None
    provider_refund_id: str | None
    provider_status: str | None
    failure_code: str | None
    failure_text: str | None
    reason: str | None
    created_at: Moment
    sent_at: Moment | None
    settled_at: Moment | None


class AttemptTold(Told):
    """A call to the payment provider; without an outcome it is under way."""

    n: int
    started_at: Moment
    finished_at: Moment | None
    outcome: str | None
    http_status: int | None
    provider_code: str | None


class RefundWithAttempts(RefundTold):
    """A refund with every call that was made for it."""

    cancellation: Uid | None
    attempts: list[AttemptTold]


def refund_fields(refund: Refund, code: str) -> dict[str, Any]:
    """Return what a refund's own row says."""
    own = set(RefundTold.model_fields) - {"order_code"}
    return {**{name: getattr(refund, name) for name in own}, "order_code": code}


def refund_told(session: Session, uid: str) -> RefundWithAttempts | None:
    """Return a refund; None when there is none."""
    details = listing.refund_details(session, uid)
    if details is None:
        return None
    run_id = details.refund.run_id
    return RefundWithAttempts(
        **refund_fields(details.refund, details.order.code),
        cancellation=None if run_id is None else run_uid_of(session, run_id),
        attempts=[AttemptTold.model_validate(each) for each in details.attempts],
    )
