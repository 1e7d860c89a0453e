"""The refund ledger."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from meet2be.cancellations.listing import run_uid_of
from meet2be.payments import listing
from meet2be.payments.models import Refund
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import ListQuery, Moment, Page, Told, Uid

Status = Literal["planned", "sending", "uncertain", "pending", "succeeded", "failed", "cancelled"]
Mode = Literal["auto", "manual", "external", "credit"]


class RefundQuery(ListQuery):
    """Which refunds; `q` is an order's code, a key or the provider's id, whole."""

    status: Status | None = None
    mode: Mode | None = None
    q: Annotated[str, Field(max_length=128)] = ""


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


def _fields(refund: Refund, code: str) -> dict[str, Any]:
    own = set(RefundTold.model_fields) - {"order_code"}
    return {**{name: getattr(refund, name) for name in own}, "order_code": code}


@operation("GET", "/refunds", "refunds:read")
def list_refunds(call: Call, query: RefundQuery) -> Page[RefundTold]:
    """List refunds, the newest first."""
    wanted = listing.known_filter(query.status or "", query.mode or "", query.q)
    found = listing.refunds_page(call.reading, wanted, call.part(query))
    return call.page(
        query, found, lambda row: (row[0].id,), lambda row: RefundTold(**_fields(row[0], row[1]))
    )


@operation("GET", "/refunds/<refund_uid>", "refunds:read")
def get_refund(call: Call, refund_uid: str) -> RefundWithAttempts:
    """Give one refund with every call that was made for it."""
    details = listing.refund_details(call.reading, refund_uid)
    if details is None:
        raise Problem("not_found")
    run_id = details.refund.run_id
    return RefundWithAttempts(
        **_fields(details.refund, details.order.code),
        cancellation=None if run_id is None else run_uid_of(call.reading, run_id),
        attempts=[AttemptTold.model_validate(each) for each in details.attempts],
    )
