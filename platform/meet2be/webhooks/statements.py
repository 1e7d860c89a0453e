"""The statements of delivering, compiled once. They serve many tenants in one transaction.

A job names its delivery and its tenant; `READ_DELIVERIES` gives the row's tenant back, and whoever
reads compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import (
    Connection,
    Integer,
    String,
    Table,
    and_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from meet2be.db.prepared import Prepared, PreparedSelect
from meet2be.tenancy.models import Tenant
from meet2be.webhooks.health import REMEMBERED
from meet2be.webhooks.models import (
    IS_ON_ITS_WAY,
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
AT_ONCE: Final = 8
"""How many deliveries one look-up finds: a list of any length would be compiled each time."""

_d, _p, _e, _s = DELIVERIES.c, ENDPOINTS.c, EVENTS.c, SECRETS.c


class DeliveryRow(NamedTuple):
    """A delivery with what its endpoint, its announcement and its tenant say of it."""

    id: int
    tenant_id: int
    endpoint_id: int
    status: str
    attempts: int
    body: str
    replay_no: int
    is_test: bool
    final_reason: str | None
    lease_until: datetime | None
    event_uid: str
    depth: int
    endpoint_status: str
    endpoint_uid: str
    url: str
    custom_headers: str | None
    retry_refusals: bool
    jitter: bool
    tenant_status: str


READ_DELIVERIES = PreparedSelect(
    select(
        _d.id, _d.tenant_id, _d.endpoint_id, _d.status, _d.attempts, _d.body, _d.replay_no,
        _d.is_test, _d.final_reason, _d.lease_until, _e.uid, _e.depth, _p.status, _p.uid, _p.url,
        _p.custom_headers, _p.retry_refusals, _p.jitter, TENANTS.c.status,
        _s.uid, _s.secret_enc,
    )
    .join(ENDPOINTS, and_(_p.tenant_id == _d.tenant_id, _p.id == _d.endpoint_id))
    .join(EVENTS, and_(_e.tenant_id == _d.tenant_id, _e.id == _d.webhook_event_id))
    .join(TENANTS, TENANTS.c.id == _d.tenant_id)
    .outerjoin(
        SECRETS,
        and_(
            _s.tenant_id == _d.tenant_id, _s.endpoint_id == _d.endpoint_id,
            _s.secret_enc.is_not(None), _s.revoked_at.is_(None),
            or_(_s.retires_at.is_(None), _s.retires_at > bindparam("now")),
        ),
    )
    .where(_d.id.in_([bindparam(f"delivery_{number}", type_=Integer) for number in range(AT_ONCE)]))
    .order_by(_d.id, _s.id.desc())
    .with_for_update(of=DELIVERIES)
)  # fmt: skip
# The conditions of these two hold for what was read under its lock; they stand here so that no
# way of calling them lets a late worker write over what another one has settled, or sends.
CLAIM = Prepared(
    update(DELIVERIES)
    .where(_d.id == bindparam("delivery"), IS_ON_ITS_WAY)
    .values(
        status="sending", lease_until=bindparam("until"), next_at=None,
        updated_at=bindparam("now"),
    )
)  # fmt: skip
PUT_ASIDE = Prepared(
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
INSERT_ATTEMPTS = Prepared(
    insert(ATTEMPTS).values({
        column.name: bindparam(column.name) for column in ATTEMPTS.c if column.name != "id"
    })
)  # fmt: skip
# A delivery that was cancelled while it was under way stays cancelled; a second settlement of the
# same attempt, by whoever was taken for dead, changes nothing.
SETTLE = Prepared(
    update(DELIVERIES)
    .where(
        _d.id == bindparam("delivery"), _d.status == "sending", _d.attempts == bindparam("before")
    )
    .values(
        status=bindparam("v_status"), attempts=bindparam("v_attempts"),
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
    .with_for_update(key_share=True)
)  # fmt: skip
WRITE_HEALTH = Prepared(
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
_letters = bindparam("v_letters", type_=String)
_length = func.length(_p.recent) + bindparam("v_many", type_=Integer)
# What `health.marked` comes to when all went well, without reading first.
NOTE_SUCCESSES = Prepared(
    update(ENDPOINTS)
    .where(_p.id == bindparam("endpoint"))
    .values(
        recent=case(
            (
                _length > REMEMBERED,
                func.substr(_p.recent, _length - (REMEMBERED - 1)).concat(_letters),
            ),
            else_=_p.recent.concat(_letters),
        ),
        fails_in_row=0, failing_since=None, warned_at=None, last_success_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
)  # fmt: skip


def read_deliveries(
    connection: Connection, deliveries: Sequence[int], now: datetime
) -> tuple[dict[int, DeliveryRow], dict[int, list[tuple[str, str]]]]:
    """Return deliveries, locked, and the secrets that sign for them: uid and sealed text.

    By the delivery's number, the newest secret first.
    """
    rows: dict[int, DeliveryRow] = {}
    secrets: dict[int, list[tuple[str, str]]] = {}
    numbers = sorted(set(deliveries))
    for at in range(0, len(numbers), AT_ONCE):
        some = numbers[at : at + AT_ONCE]
        some += some[-1:] * (AT_ONCE - len(some))
        values: dict[str, Any] = {f"delivery_{place}": each for place, each in enumerate(some)}
        for *found, uid, sealed in READ_DELIVERIES.rows(connection, {**values, "now": now}):
            row = DeliveryRow._make(found)
            rows[row.id] = row
            signing = secrets.setdefault(row.id, [])
            if uid is not None:
                signing.append((uid, sealed))
    return rows, secrets
