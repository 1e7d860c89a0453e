"""The refund ledger: seen, looked up at the provider, tried again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meet2be.cancellations import services as runs
from meet2be.cancellations.errors import CancellationError
from meet2be.cancellations.following import look_up_now_tx
from meet2be.cancellations.listing import failed_items_of_refund, run_uid_of
from meet2be.language import Message
from meet2be.objects.base import Told
from meet2be.objects.refunds import (
    Mode,
    RefundTold,
    RefundWithAttempts,
    Status,
    refund_fields,
    refund_told,
)
from meet2be.payments import listing
from meet2be.payments.models import Refund
from meet2be.refunding import again
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import Done, ListQuery, Page


class RefundQuery(ListQuery):
    """Which refunds; `q` is an order's code, a key or the provider's id, whole."""

    status: Status | None = None
    mode: Mode | None = None
    q: Annotated[str, Field(max_length=128)] = ""


class LookedUp(Told):
    """What the provider has of a refund: news that are written down, none, or not the refund."""

    found: Literal["settled", "no_news", "not_found"]


@operation("GET", "/refunds", "refunds:read")
def list_refunds(call: Call, query: RefundQuery) -> Page[RefundTold]:
    """List refunds, the newest first."""
    wanted = listing.known_filter(query.status or "", query.mode or "", query.q)
    found = listing.refunds_page(call.reading, wanted, call.part(query))
    return call.page(
        query,
        found,
        lambda row: (row[0].id,),
        lambda row: RefundTold(**refund_fields(row[0], row[1])),
    )


@operation("GET", "/refunds/<refund_uid>", "refunds:read")
def get_refund(call: Call, refund_uid: str) -> RefundWithAttempts:
    """Give one refund with every call that was made for it."""
    found = refund_told(call.reading, refund_uid)
    if found is None:
        raise Problem("not_found")
    return found


@operation("POST", "/refunds/<refund_uid>/lookup", "refunds:write", problems=("conflict",))
def look_refund_up(call: Call, refund_uid: str) -> LookedUp:
    """Ask the provider now what it has of a refund; nothing is sent by this."""
    _known(call, refund_uid)
    return LookedUp(found=look_up_now_tx(call.services.desk, call.caller.tenant_id, refund_uid))


@operation("POST", "/refunds/<refund_uid>/retry", "refunds:write", status=202,
           problems=("conflict",))  # fmt: skip
def retry_refund(call: Call, refund_uid: str) -> Done:
    """Refund anew, under a new key, what a failed refund was for."""
    refund = _known(call, refund_uid)
    if refund.run_id is None:
        again.retry(call.writing, refund_uid, call.actor, call.now)
        return Done(status="accepted")
    items = [item.id for item in failed_items_of_refund(call.writing, refund.id)]
    run_uid = run_uid_of(call.writing, refund.run_id)
    if run_uid is None or not items:
        raise CancellationError(Message("Nothing of this refund waits to be tried again"))
    runs.retry_failed(call.writing, run_uid, call.actor, items)
    return Done(status="accepted")


def _known(call: Call, uid: str) -> Refund:
    details = listing.refund_details(call.reading, uid)
    if details is None:
        raise Problem("not_found")
    return details.refund
