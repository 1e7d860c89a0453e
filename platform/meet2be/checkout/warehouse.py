"""The last step: telling the organisation's own warehouse, whose trouble is not the buyer's.

The address stands in the tenant's settings as `warehouse_url`; without one nothing is told. The
same order is told under the same id, in the header `Idempotency-Key` and in the body, so a receiver
that gets it twice can tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.checkout import steps as rows
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.steps import Outcome, Taken
from meet2be.checkout.telling import needs_attention
from meet2be.integrations.guarded_http import HookCallFailed
from meet2be.orders.models import Order, Shipment
from meet2be.tenancy.models import Tenant

STEP = "notify_warehouse"
URL = "warehouse_url"
ADDRESS = "warehouse_address"
"""From where parcels come: the fields of `shipping.ADDRESS_FIELDS`; told beside where they go."""
LEASE = timedelta(seconds=30)
BACKOFF = (30.0, 120.0, 600.0, 3600.0, 3 * 3600.0, 6 * 3600.0)
"""Seconds between tries; beyond them the step has failed and a person may try it again."""


@dataclass(frozen=True, slots=True)
class _Call:
    url: str
    key: str
    body: bytes


def notify_warehouse(
    desk: CheckoutDesk, tenant_id: int, order_uid: str, ensure_lease: Callable[[], None]
) -> Outcome:
    """Post the order to the warehouse; wait and ask again when it does not answer well."""
    with desk.db.tenant_session(tenant_id) as session:
        claimed = _claim(session, order_uid, desk.clock.now())
        session.commit()
    if not isinstance(claimed, _Call):
        return claimed
    ensure_lease()
    status, problem = _post(desk, claimed)
    with desk.db.tenant_session(tenant_id) as session:
        outcome = _book(session, desk, order_uid, status, problem)
        session.commit()
    return outcome


def _claim(session: Session, order_uid: str, now: datetime) -> _Call | Outcome:
    taken = rows.take(session, order_uid, STEP, now)
    if not isinstance(taken, Taken):
        return taken
    order = taken.order
    if order.status != "paid":
        return "stop"
    tenant = session.get_one(Tenant, order.tenant_id)
    url = str(tenant.settings.get(URL) or "")
    if not url:
        rows.finish(taken.step, now, {"skipped": "no_warehouse"})
        return "go"
    rows.begin(taken.step, now, LEASE)
    return _Call(url, taken.step.key, _body(session, order, taken.step.key))


def _body(session: Session, order: Order, key: str) -> bytes:
    attendees = session.scalars(
        select(Attendee).where(Attendee.order_id == order.id).order_by(Attendee.id)
    )
    shipment = session.scalar(select(Shipment).where(Shipment.order_id == order.id))
    told: dict[str, Any] = {
        "id": key,
        "type": "order.completed",
        "order": {"id": order.uid, "code": order.code, "test": order.test_mode},
        "tickets": [{"code": each.ticket_code, "name": each.name} for each in attendees],
        "parcel": None,
    }
    if shipment is not None:
        address = order.shipping_address
        origin = session.get_one(Tenant, order.tenant_id).settings.get(ADDRESS)
        told["parcel"] = {
            "number": shipment.parcel_no, "label": shipment.label, "to": address, "from": origin,
        }  # fmt: skip
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _post(desk: CheckoutDesk, call: _Call) -> tuple[int | None, str | None]:
    headers = {"Content-Type": "application/json", "Idempotency-Key": call.key}
    try:
        answer = desk.http.post(call.url, headers, call.body)
    except HookCallFailed as error:
        return None, f"{error.code}: {error}"
    is_fine = 200 <= answer.status < 300
    return answer.status, None if is_fine else f"HTTP {answer.status}"


def _book(
    session: Session,
    desk: CheckoutDesk,
    order_uid: str,
    status: int | None,
    problem: str | None,
) -> Outcome:
    now = desk.clock.now()
    mine = select(Order).where(Order.uid == order_uid).with_for_update(key_share=True)
    order = session.scalars(mine).one()
    step = rows.steps_of(session, order.id)[STEP]
    if step.state in rows.OVER:
        return "go"
    tries = int(step.result.get("tries") or 0) + 1
    step.result = {**step.result, "tries": tries, "status": status}
    if problem is None:
        rows.finish(step, now)
        return "go"
    if tries > len(BACKOFF):
        rows.fail(step, now, problem)
        needs_attention(session, order, "warehouse_failed", now)
        return "stop"
    return rows.put_off(step, now, problem, BACKOFF[tries - 1])
