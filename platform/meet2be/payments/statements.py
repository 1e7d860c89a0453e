"""The ledger's statements, built once; every one of them names its tenant.

But for the provider's messages, which are no tenant's before it is known what they are about.
"""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from meet2be.db.hints import unindexed
from meet2be.db.prepared import Prepared, PreparedSelect
from meet2be.payments.models import Payment, ProviderEvent, Refund, RefundAttempt

PAYMENTS = cast("Table", Payment.__table__)
REFUNDS = cast("Table", Refund.__table__)
ATTEMPTS = cast("Table", RefundAttempt.__table__)
MESSAGES = cast("Table", ProviderEvent.__table__)

# What `book` may write on a refund; all of them in one statement, so that it runs for many rows.
REFUND_VALUES = (
    "status", "provider_refund_id", "provider_status", "pending_reason", "failure_code",
    "failure_text", "lease_token", "lease_until", "settled_at",
)  # fmt: skip

_OF_TENANT = PAYMENTS.c.tenant_id == bindparam("tenant")
_THIS = PAYMENTS.c.id == bindparam("payment")

RESERVE = Prepared(
    update(PAYMENTS)
    .where(
        _OF_TENANT,
        _THIS,
        PAYMENTS.c.status == "succeeded",
        PAYMENTS.c.reserved_minor + PAYMENTS.c.refunded_minor + bindparam("amount")
        <= PAYMENTS.c.amount_minor,
    )
    .values(
        reserved_minor=PAYMENTS.c.reserved_minor + bindparam("amount"), updated_at=bindparam("now")
    )
)
MOVE_MONEY = Prepared(
    update(PAYMENTS)
    .where(_OF_TENANT, _THIS)
    .values(
        reserved_minor=PAYMENTS.c.reserved_minor + bindparam("reserved"),
        refunded_minor=PAYMENTS.c.refunded_minor + bindparam("back"),
        updated_at=bindparam("now"),
    )
)
LOCK_PAYMENT = select(PAYMENTS).where(_OF_TENANT, _THIS).with_for_update(key_share=True)
LOCK_PAYMENTS = (
    select(PAYMENTS)
    .where(
        unindexed(PAYMENTS.c.tenant_id) == bindparam("tenant"),
        PAYMENTS.c.id.in_(bindparam("payments", expanding=True)),
    )
    .order_by(PAYMENTS.c.id)
    .with_for_update(key_share=True)
)

# By their uid, as SQLite does not return rows in the order they were given.
INSERT_REFUNDS = insert(REFUNDS).returning(REFUNDS.c.id, REFUNDS.c.uid)
LOCK_REFUNDS = (
    select(REFUNDS)
    .where(
        unindexed(REFUNDS.c.tenant_id) == bindparam("tenant"),
        REFUNDS.c.id.in_(bindparam("refunds", expanding=True)),
    )
    .order_by(REFUNDS.c.id)
    .with_for_update()
)
UPDATE_REFUNDS = Prepared(
    update(REFUNDS)
    .where(REFUNDS.c.tenant_id == bindparam("tenant"), REFUNDS.c.id == bindparam("refund"))
    .values(
        {
            **{name: bindparam(f"v_{name}") for name in REFUND_VALUES},
            "updated_at": bindparam("now"),
        }
    )
)
SET_CREDIT_NOTE = Prepared(
    update(REFUNDS)
    .where(REFUNDS.c.tenant_id == bindparam("tenant"), REFUNDS.c.id == bindparam("refund"))
    .values(credit_note_id=bindparam("note"), updated_at=bindparam("now"))
)
LAST_SEQS = (
    select(REFUNDS.c.payment_id, func.max(REFUNDS.c.seq))
    .where(
        unindexed(REFUNDS.c.tenant_id) == bindparam("tenant"),
        REFUNDS.c.payment_id.in_(bindparam("payments", expanding=True)),
    )
    .group_by(REFUNDS.c.payment_id)
)
PROVIDER_IDS = select(REFUNDS.c.provider_refund_id).where(
    REFUNDS.c.tenant_id == bindparam("tenant"),
    REFUNDS.c.payment_id == bindparam("payment"),
    REFUNDS.c.provider_refund_id.is_not(None),
)

INSERT_ATTEMPTS = Prepared(
    insert(ATTEMPTS).values(
        tenant_id=bindparam("tenant"),
        refund_id=bindparam("refund"),
        n=bindparam("number"),
        started_at=bindparam("now"),
    )
)
CLOSE_ATTEMPTS = Prepared(
    update(ATTEMPTS)
    .where(
        ATTEMPTS.c.tenant_id == bindparam("tenant"),
        ATTEMPTS.c.refund_id == bindparam("refund"),
        ATTEMPTS.c.n == bindparam("number"),
    )
    .values(
        finished_at=bindparam("now"),
        outcome=bindparam("v_outcome"),
        http_status=bindparam("v_http_status"),
        provider_code=bindparam("v_provider_code"),
        excerpt=bindparam("v_excerpt"),
    )
)
LAST_ATTEMPTS = (
    select(ATTEMPTS.c.refund_id, func.max(ATTEMPTS.c.n))
    .where(
        unindexed(ATTEMPTS.c.tenant_id) == bindparam("tenant"),
        ATTEMPTS.c.refund_id.in_(bindparam("refunds", expanding=True)),
    )
    .group_by(ATTEMPTS.c.refund_id)
)

_MESSAGE = {
    **{
        name: bindparam(name)
        for name in (
            "provider", "account", "event_id", "type", "payload", "received_at", "processed_at",
            "result",
        )
    },
    "tries": 0,
}  # fmt: skip
# By the dialect's name: a message that is there already changes nothing, and no row.
KEEP_MESSAGE = {
    "sqlite": Prepared(sqlite.insert(MESSAGES).values(_MESSAGE).on_conflict_do_nothing()),
    "postgresql": Prepared(postgresql.insert(MESSAGES).values(_MESSAGE).on_conflict_do_nothing()),
}
# The fields of a `Standing`, and until when somebody has the refund in hand.
_STANDING = select(
    REFUNDS.c.id, REFUNDS.c.uid, REFUNDS.c.payment_id, REFUNDS.c.amount_minor, REFUNDS.c.status,
    REFUNDS.c.provider_refund_id, REFUNDS.c.failure_code, REFUNDS.c.sent_at, REFUNDS.c.lease_until,
)  # fmt: skip
STANDING_BY_MARK = PreparedSelect(_STANDING.where(REFUNDS.c.uid == bindparam("mark")))
STANDING_BY_ID = PreparedSelect(
    _STANDING.where(
        REFUNDS.c.provider == bindparam("provider"),
        REFUNDS.c.provider_refund_id == bindparam("told"),
    )
)
