"""The statements of a cancel run's lanes, built once; every one of them names its tenant.

They are Core on the session's connection, not ORM: a lane runs them for many rows at a time, and
the session's guard refuses lists of updates because it cannot look into them.
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import (
    BindParameter,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from meet2be.attendees.models import ATTENDEE_STATUSES, Attendee
from meet2be.audit.models import AuditEntry
from meet2be.cancellations.models import CancelItem, CancelLane, CancelRun
from meet2be.db.hints import unindexed
from meet2be.db.prepared import Prepared
from meet2be.events.models import Event, TicketType
from meet2be.orders.models import ORDER_STATUSES, Order
from meet2be.payments.models import Payment, Refund
from meet2be.tenancy.models import Tenant

RUNS = cast("Table", CancelRun.__table__)
LANES = cast("Table", CancelLane.__table__)
ITEMS = cast("Table", CancelItem.__table__)
ATTENDEES = cast("Table", Attendee.__table__)
ORDERS = cast("Table", Order.__table__)
EVENTS = cast("Table", Event.__table__)
TICKETS = cast("Table", TicketType.__table__)
REFUNDS = cast("Table", Refund.__table__)
PAYMENTS = cast("Table", Payment.__table__)
TENANTS = cast("Table", Tenant.__table__)
AUDIT = cast("Table", AuditEntry.__table__)

_TENANT: BindParameter[int] = bindparam("tenant")
_RUN: BindParameter[int] = bindparam("run")
_LANE: BindParameter[int] = bindparam("of_lane")
_NOW: BindParameter[datetime] = bindparam("now")

# ---- lanes ----

_THIS_LANE = (LANES.c.tenant_id == _TENANT, LANES.c.run_id == _RUN, LANES.c.lane == _LANE)
TAKE_LANE = (
    update(LANES)
    .where(*_THIS_LANE)
    .values(
        fence=LANES.c.fence + 1,
        state="running",
        job_id=bindparam("job"),
        started_at=func.coalesce(LANES.c.started_at, _NOW),
    )
    .returning(LANES.c.fence)
)
# Held to the end of the transaction: a zombie cannot commit once its fence was passed.
HOLD_LANE = (
    update(LANES)
    .where(*_THIS_LANE, LANES.c.fence == bindparam("of_fence"))
    .values(state=bindparam("lane_state"))
)
END_LANE = update(LANES).where(*_THIS_LANE).values(state="done", finished_at=_NOW)
OTHER_LANES_LEFT = select(func.count()).where(
    LANES.c.tenant_id == _TENANT, LANES.c.run_id == _RUN, LANES.c.lane != _LANE,
    LANES.c.state != "done",
)  # fmt: skip
REOPEN_LANES = (
    update(LANES)
    .where(LANES.c.tenant_id == _TENANT, LANES.c.run_id == _RUN)
    .values(state="todo", finished_at=None)
)

# ---- the run ----

READ_RUN = (
    select(RUNS.c.state, RUNS.c.pause_code, RUNS.c.finished_at, TENANTS.c.status)
    .join(TENANTS, TENANTS.c.id == RUNS.c.tenant_id)
    .where(RUNS.c.tenant_id == _TENANT, RUNS.c.id == _RUN)
)
_THIS_RUN = (RUNS.c.tenant_id == _TENANT, RUNS.c.id == _RUN)
LOCK_RUN = select(RUNS.c.state, RUNS.c.pause_code).where(*_THIS_RUN).with_for_update()
START_RUN = (
    update(RUNS)
    .where(*_THIS_RUN, RUNS.c.state == "confirmed")
    .values(state="running", started_at=_NOW)
)
PAUSE_RUN = (
    update(RUNS)
    .where(*_THIS_RUN, RUNS.c.state.in_(("confirmed", "running", "sweeping")))
    .values(
        paused_from=RUNS.c.state, state="paused", paused_at=_NOW, pause_code=bindparam("code"),
        pause_reason=bindparam("reason"), resume_at=bindparam("until"),
    )
)  # fmt: skip
PUT_OFF_RUN = (
    update(RUNS)
    .where(*_THIS_RUN, RUNS.c.state == "paused", RUNS.c.pause_code == "provider")
    .values(pause_reason=bindparam("reason"), resume_at=bindparam("until"))
)
UNPAUSE_RUN = (
    update(RUNS)
    .where(*_THIS_RUN, RUNS.c.state == "paused")
    .values(
        state="running", paused_from=None, pause_code=None, pause_reason=None, resume_at=None,
        started_at=func.coalesce(RUNS.c.started_at, _NOW),
    )
)  # fmt: skip
SET_RUN = update(RUNS).where(*_THIS_RUN).values(state=bindparam("new_state"))
END_RUN = (
    update(RUNS)
    .where(*_THIS_RUN)
    .values(
        state=bindparam("new_state"), finished_at=_NOW, paused_from=None, pause_code=None,
        pause_reason=None, resume_at=None,
    )
)  # fmt: skip

# ---- the preparation of a large run ----

SET_PREPARATION = update(RUNS).where(*_THIS_RUN).values(preparation=bindparam("document"))
TAKE_BACK_RUN = (
    update(RUNS)
    .where(*_THIS_RUN, RUNS.c.state == "confirmed")
    .values(state="preview", confirmed_by=None, confirmed_at=None)
)
LAST_ITEM = (
    select(ITEMS.c.unit, ITEMS.c.payment_id, ITEMS.c.attendee_id)
    .where(unindexed(ITEMS.c.tenant_id) == _TENANT, ITEMS.c.run_id == _RUN)
    .order_by(ITEMS.c.unit.desc(), ITEMS.c.id.desc())
    .limit(1)
)
PLANNED_AMOUNTS = (
    select(ITEMS.c.payment_id, ITEMS.c.planned_minor)
    .where(
        unindexed(ITEMS.c.tenant_id) == _TENANT, ITEMS.c.run_id == _RUN, ITEMS.c.planned_minor > 0
    )
    .order_by(ITEMS.c.unit)
)
COUNT_ITEMS = select(func.count()).where(ITEMS.c.tenant_id == _TENANT, ITEMS.c.run_id == _RUN)
REMOVE_ITEMS = delete(ITEMS).where(
    ITEMS.c.tenant_id == _TENANT,
    ITEMS.c.id.in_(
        select(ITEMS.c.id)
        .where(unindexed(ITEMS.c.tenant_id) == _TENANT, ITEMS.c.run_id == _RUN)
        .limit(bindparam("limit"))
        .scalar_subquery()
    ),
)
GIVE_BACK_EVENT = (
    update(EVENTS)
    .where(
        EVENTS.c.tenant_id == _TENANT,
        EVENTS.c.id == bindparam("event"),
        EVENTS.c.status == "cancelling",
    )
    .values(status=bindparam("was"), version=EVENTS.c.version + 1)
)

# ---- items ----

_TODO = and_(ITEMS.c.run_id == _RUN, ITEMS.c.lane == _LANE, ITEMS.c.refund_state == "todo")
_NEXT_UNITS = (
    select(ITEMS.c.unit)
    .where(ITEMS.c.tenant_id == _TENANT, _TODO, ITEMS.c.unit > bindparam("after"))
    .distinct()
    .order_by(ITEMS.c.unit)
    .limit(bindparam("units"))
)
NEXT_ITEMS = (
    select(ITEMS)
    .where(ITEMS.c.tenant_id == _TENANT, _TODO, ITEMS.c.unit.in_(_NEXT_UNITS.scalar_subquery()))
    .order_by(ITEMS.c.unit, ITEMS.c.id)
)
LAST_UNIT = select(func.coalesce(func.max(ITEMS.c.unit), -1)).where(
    ITEMS.c.tenant_id == _TENANT, ITEMS.c.run_id == _RUN
)
SEND_ITEMS = Prepared(
    update(ITEMS)
    .where(ITEMS.c.tenant_id == _TENANT, ITEMS.c.id == bindparam("item"))
    .values(
        refund_state="sent", refund_id=bindparam("refund"), planned_minor=bindparam("amount"),
        attempts=ITEMS.c.attempts + 1, error_code=None, error_text=None, skip_reason=None,
        updated_at=_NOW,
    )
)  # fmt: skip
FINISH_ITEMS = Prepared(
    update(ITEMS)
    .where(ITEMS.c.tenant_id == _TENANT, ITEMS.c.id == bindparam("item"))
    .values(
        refund_state=bindparam("v_refund_state"), cancel_state="done",
        mail_state=bindparam("v_mail_state"), mail_id=bindparam("v_mail_id"),
        planned_minor=bindparam("v_planned"), skip_reason=bindparam("v_skip_reason"),
        error_code=bindparam("v_error_code"), error_text=bindparam("v_error_text"),
        updated_at=_NOW,
    )
)  # fmt: skip
MARK_ITEMS = (
    update(ITEMS)
    .where(ITEMS.c.tenant_id == _TENANT, ITEMS.c.refund_id == bindparam("refund"))
    .values(
        refund_state=bindparam("v_refund_state"), error_code=bindparam("v_error_code"),
        error_text=bindparam("v_error_text"),
    )
)  # fmt: skip
REOPEN_ITEMS = (
    update(ITEMS)
    .where(ITEMS.c.tenant_id == _TENANT, ITEMS.c.id == bindparam("item"))
    .values(
        refund_state="todo", refund_id=None, unit=bindparam("new_unit"), skip_reason=None,
        error_code=None, error_text=None, planned_minor=bindparam("amount"),
    )
)  # fmt: skip
INSERT_ITEMS = insert(ITEMS)

_ITEM_DETAILS = (
    select(
        ITEMS, ATTENDEES.c.status.label("attendee_status"), ATTENDEES.c.anonymised_at,
        ATTENDEES.c.ticket_code, TICKETS.c.name.label("ticket_name"),
        ORDERS.c.code.label("order_code"),
    )
    .join(
        ATTENDEES,
        and_(ATTENDEES.c.tenant_id == ITEMS.c.tenant_id, ATTENDEES.c.id == ITEMS.c.attendee_id),
    )
    .join(
        TICKETS,
        and_(
            TICKETS.c.tenant_id == ATTENDEES.c.tenant_id,
            TICKETS.c.id == ATTENDEES.c.ticket_type_id,
        ),
    )
    .join(ORDERS, and_(ORDERS.c.tenant_id == ITEMS.c.tenant_id, ORDERS.c.id == ITEMS.c.order_id))
    .where(unindexed(ITEMS.c.tenant_id) == _TENANT)
    .order_by(ITEMS.c.id)
)  # fmt: skip
DETAILS_OF_ITEMS = _ITEM_DETAILS.where(ITEMS.c.id.in_(bindparam("items", expanding=True)))
DETAILS_OF_REFUNDS = _ITEM_DETAILS.where(
    ITEMS.c.refund_id.in_(bindparam("refunds", expanding=True))
)
UNSETTLED_ITEMS = _ITEM_DETAILS.where(
    ITEMS.c.run_id == _RUN,
    ITEMS.c.refund_state.in_(("uncertain", "sent")),
    ITEMS.c.cancel_state == "todo",
).limit(bindparam("limit"))

# ---- attendees, orders, the event ----

CANCEL_ATTENDEES = (
    update(ATTENDEES)
    .where(
        unindexed(ATTENDEES.c.tenant_id) == _TENANT,
        ATTENDEES.c.id.in_(bindparam("attendees", expanding=True)),
        ATTENDEES.c.status != "cancelled",
    )
    .values(status="cancelled", cancelled_at=_NOW)
)
PAY_BACK = Prepared(
    update(ATTENDEES)
    .where(ATTENDEES.c.tenant_id == _TENANT, ATTENDEES.c.id == bindparam("attendee"))
    .values(
        refunded_minor=case(
            (
                ATTENDEES.c.refunded_minor + bindparam("amount") > ATTENDEES.c.price_minor,
                ATTENDEES.c.price_minor,
            ),
            else_=ATTENDEES.c.refunded_minor + bindparam("amount"),
        ),
        updated_at=_NOW,
    )
)
_STILL_IN = exists().where(
    ATTENDEES.c.tenant_id == ORDERS.c.tenant_id,
    ATTENDEES.c.order_id == ORDERS.c.id,
    ATTENDEES.c.status != "cancelled",
)
CANCEL_ORDERS = (
    update(ORDERS)
    .where(
        ORDERS.c.status != "cancelled",
        ~_STILL_IN,
        unindexed(ORDERS.c.tenant_id) == _TENANT,
        ORDERS.c.id.in_(bindparam("orders", expanding=True)),
    )
    .values(status="cancelled", cancelled_at=_NOW)
)
# Their states are listed, so that those of an event are found along the index of states.
CANCEL_EMPTY_ORDERS = (
    update(ORDERS)
    .where(
        unindexed(ORDERS.c.tenant_id) == _TENANT,
        # Whoever cancels one of them at the same time has set its time already.
        unindexed(ORDERS.c.status) != "cancelled",
        ORDERS.c.id.in_(
            select(ORDERS.c.id)
            .where(
                ORDERS.c.tenant_id == _TENANT,
                ORDERS.c.event_id == bindparam("event"),
                ORDERS.c.status.in_([each for each in ORDER_STATUSES if each != "cancelled"]),
                ~_STILL_IN,
            )
            .order_by(ORDERS.c.status, ORDERS.c.id)
            .limit(bindparam("limit"))
            .scalar_subquery()
        ),
    )
    .values(status="cancelled", cancelled_at=_NOW)
)
# Who has no item has come since the items were written: few have a valid ticket by then.
ANYBODY_CAME = select(
    exists().where(
        ATTENDEES.c.tenant_id == _TENANT,
        ATTENDEES.c.event_id == bindparam("event"),
        ATTENDEES.c.status.in_([each for each in ATTENDEE_STATUSES if each != "cancelled"]),
        ~exists().where(ITEMS.c.run_id == _RUN, ITEMS.c.attendee_id == ATTENDEES.c.id),
    )
)
CANCEL_EVENT = (
    update(EVENTS)
    .where(
        EVENTS.c.tenant_id == _TENANT,
        EVENTS.c.id == bindparam("event"),
        EVENTS.c.status == "cancelling",
    )
    .values(status="cancelled", cancelled_at=_NOW, version=EVENTS.c.version + 1)
)

# ---- refunds of a lane that are under way ----

_UNDER_WAY = (
    unindexed(REFUNDS.c.tenant_id) == _TENANT,
    REFUNDS.c.run_id == _RUN,
    REFUNDS.c.lane == _LANE,
    REFUNDS.c.status.in_(("sending", "uncertain")),
)
# Held by a worker that is gone, or left with the hour of its next look-up.
DUE_REFUNDS = (
    select(
        REFUNDS, PAYMENTS.c.provider_ref, PAYMENTS.c.provider_account, PAYMENTS.c.test_mode,
        PAYMENTS.c.provider.label("payment_provider"),
    )
    .join(
        PAYMENTS,
        and_(PAYMENTS.c.tenant_id == REFUNDS.c.tenant_id, PAYMENTS.c.id == REFUNDS.c.payment_id),
    )
    .where(
        *_UNDER_WAY,
        or_(
            and_(REFUNDS.c.lease_token.is_not(None), REFUNDS.c.lease_token != bindparam("token")),
            REFUNDS.c.lease_until <= _NOW,
        ),
    )
    .order_by(REFUNDS.c.id)
    .limit(bindparam("limit"))
)  # fmt: skip
NEXT_LOOK = select(func.count(), func.min(REFUNDS.c.lease_until)).where(
    *_UNDER_WAY, REFUNDS.c.lease_until.is_not(None)
)
CLAIM_REFUNDS = (
    update(REFUNDS)
    .where(REFUNDS.c.tenant_id == _TENANT, REFUNDS.c.id == bindparam("refund"))
    .values(lease_token=bindparam("token"), lease_until=bindparam("until"))
)
KNOWN_PROVIDER_IDS = select(REFUNDS.c.id, REFUNDS.c.payment_id, REFUNDS.c.provider_refund_id).where(
    unindexed(REFUNDS.c.tenant_id) == _TENANT,
    REFUNDS.c.payment_id.in_(bindparam("payments", expanding=True)),
    REFUNDS.c.provider_refund_id.is_not(None),
)
OTHERS_UNDER_WAY = select(REFUNDS.c.payment_id, REFUNDS.c.run_id, REFUNDS.c.status).where(
    unindexed(REFUNDS.c.tenant_id) == _TENANT,
    REFUNDS.c.payment_id.in_(bindparam("payments", expanding=True)),
    REFUNDS.c.status.not_in(("failed", "cancelled")),
)
INSERT_AUDIT = insert(AUDIT)
# What became of refunds: one entry for each, so it is run for many.
AUDIT_REFUNDS = Prepared(
    insert(AUDIT).values(
        tenant_id=_TENANT, at=_NOW, actor_kind="job", actor_id=bindparam("actor"),
        action=bindparam("act"), object_type="refund", object_id=bindparam("of_refund"),
        before=bindparam("was"), after=bindparam("became"),
    )
)  # fmt: skip
