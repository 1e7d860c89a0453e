"""The statements of delivering, each written once. They serve many tenants in one transaction.

A job names its delivery and its tenant; `READ_DELIVERIES` gives the row's tenant back, and whoever
reads compares the two.
"""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table, and_, bindparam, insert, or_, select, update

from meet2be.tenancy.models import Tenant
from meet2be.webhooks.models import (
    ON_ITS_WAY,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    WebhookSecret,
)

DELIVERIES = cast("Table", WebhookDelivery.__table__)
ENDPOINTS = cast("Table", WebhookEndpoint.__table__)
SECRETS = cast("Table", WebhookSecret.__table__)
EVENTS = cast("Table", WebhookEvent.__table__)
ATTEMPTS = cast("Table", WebhookAttempt.__table__)
TENANTS = cast("Table", Tenant.__table__)

_d, _p, _e, _s = DELIVERIES.c, ENDPOINTS.c, EVENTS.c, SECRETS.c

READ_DELIVERIES = (
    select(
        _d.id, _d.tenant_id, _d.endpoint_id, _d.status, _d.attempts, _d.body, _d.replay_no,
        _d.is_test, _d.final_reason, _d.lease_until, _e.uid.label("event_uid"), _e.depth,
        _p.status.label("endpoint_status"), _p.uid.label("endpoint_uid"), _p.url,
        _p.custom_headers, _p.retry_refusals, _p.jitter,
        TENANTS.c.status.label("tenant_status"),
    )
    .join(ENDPOINTS, and_(_p.tenant_id == _d.tenant_id, _p.id == _d.endpoint_id))
    .join(EVENTS, and_(_e.tenant_id == _d.tenant_id, _e.id == _d.webhook_event_id))
    .join(TENANTS, TENANTS.c.id == _d.tenant_id)
    .where(_d.id.in_(bindparam("deliveries", expanding=True)))
    .order_by(_d.id)
    .with_for_update(of=DELIVERIES)
)  # fmt: skip
READ_SECRETS = (
    select(_s.endpoint_id, _s.uid, _s.secret_enc)
    .where(
        _s.endpoint_id.in_(bindparam("endpoints", expanding=True)),
        _s.secret_enc.is_not(None),
        _s.revoked_at.is_(None),
        or_(_s.retires_at.is_(None), _s.retires_at > bindparam("now")),
    )
    .order_by(_s.id.desc())
)
# The conditions of these two hold for what was read under its lock; they stand here so that no
# way of calling them lets a late worker write over what another one has settled, or sends.
CLAIM = (
    update(DELIVERIES)
    .where(_d.id.in_(bindparam("deliveries", expanding=True)), _d.status.in_(ON_ITS_WAY))
    .values(
        status="sending", lease_until=bindparam("until"), next_at=None,
        updated_at=bindparam("now"),
    )
)  # fmt: skip
PUT_ASIDE = (
    update(DELIVERIES)
    .where(
        _d.id == bindparam("delivery"), _d.status == bindparam("v_was"),
        _d.attempts == bindparam("before"),
    )
    .values(
        status=bindparam("v_status"), final_reason=bindparam("v_reason"),
        settled_at=bindparam("v_settled_at"), next_at=None, lease_until=None,
        updated_at=bindparam("now"),
    )
)  # fmt: skip
INSERT_ATTEMPTS = insert(ATTEMPTS)
# A delivery that was cancelled while it was under way stays cancelled; a second settlement of the
# same attempt, by whoever was taken for dead, changes nothing.
SETTLE = (
    update(DELIVERIES)
    .where(
        _d.id == bindparam("delivery"), _d.status == "sending", _d.attempts == bindparam("before")
    )
    .values(
        status=bindparam("v_status"), attempts=bindparam("before") + 1,
        next_at=bindparam("v_next_at"), settled_at=bindparam("v_settled_at"),
        final_reason=bindparam("v_reason"), lease_until=None, updated_at=bindparam("now"),
    )
)  # fmt: skip
KNOWN_ATTEMPTS = select(ATTEMPTS.c.delivery_id, ATTEMPTS.c.n).where(
    ATTEMPTS.c.delivery_id.in_(bindparam("deliveries", expanding=True))
)
READ_HEALTH = (
    select(
        _p.id, _p.status, _p.recent, _p.fails_in_row, _p.failing_since, _p.warned_at,
        _p.last_success_at, _p.last_failure_at, _p.last_failure, _p.enabled_at,
    )
    .where(_p.id.in_(bindparam("endpoints", expanding=True)))
    .order_by(_p.id)
    .with_for_update()
)  # fmt: skip
WRITE_HEALTH = (
    update(ENDPOINTS)
    .where(_p.id == bindparam("endpoint"))
    .values(
        recent=bindparam("v_recent"), fails_in_row=bindparam("v_fails_in_row"),
        failing_since=bindparam("v_failing_since"), warned_at=bindparam("v_warned_at"),
        last_success_at=bindparam("v_last_success_at"),
        last_failure_at=bindparam("v_last_failure_at"), last_failure=bindparam("v_last_failure"),
        updated_at=bindparam("now"),
    )
)  # fmt: skip
