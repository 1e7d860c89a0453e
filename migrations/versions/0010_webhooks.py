"""Webhook endpoints, secrets, events, deliveries and their attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "nullif(current_setting('app.tenant', true), '')::bigint"
SYSTEM = "nullif(current_setting('app.system', true), '') IS NOT NULL"
ON_ITS_WAY = sa.text("status IN ('pending', 'held', 'waiting', 'sending')")
OWNED = (
    "webhook_endpoints", "webhook_endpoint_events", "webhook_secrets", "webhook_events",
    "webhook_deliveries", "webhook_attempts",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("description", sa.String(500), nullable=False),
        sa.Column("event_types", JSON, nullable=False),
        sa.Column("all_types", sa.Boolean(), nullable=False),
        sa.Column("all_events", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("retry_refusals", sa.Boolean(), nullable=False),
        sa.Column("jitter", sa.Boolean(), nullable=False),
        sa.Column("custom_headers", sa.Text()),
        sa.Column("recent", sa.String(100), nullable=False),
        sa.Column("fails_in_row", BIG, nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("warned_at", sa.DateTime(timezone=True)),
        sa.Column("last_success_at", sa.DateTime(timezone=True)),
        sa.Column("last_failure_at", sa.DateTime(timezone=True)),
        sa.Column("last_failure", sa.String(500)),
        sa.Column("enabled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
        sa.Column("created_by", BIG),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_webhook_endpoints_tenant_id_id"),
        sa.UniqueConstraint("uid", name="uq_webhook_endpoints_uid"),
        sa.ForeignKeyConstraint(
            ["created_by"], ["users.id"], name="fk_webhook_endpoints_created_by"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_webhook_endpoints_tenant_id"
        ),
        sa.CheckConstraint(
            "status IN ('enabled', 'paused', 'disabled_gone', 'disabled_failing', "
            "'disabled_admin', 'deleted')",
            name="ck_webhook_endpoints_status",
        ),
    )
    op.create_index(
        "ix_webhook_endpoints_tenant_id_status_id",
        "webhook_endpoints",
        ["tenant_id", "status", "id"],
    )
    op.create_table(
        "webhook_endpoint_events",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("endpoint_id", BIG, nullable=False, autoincrement=False),
        sa.Column("event_id", BIG, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("endpoint_id", "event_id", name="pk_webhook_endpoint_events"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_webhook_endpoint_events_tenant_id"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "endpoint_id"],
            ["webhook_endpoints.tenant_id", "webhook_endpoints.id"],
            name="fk_webhook_endpoint_events_tenant_id_endpoint_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_webhook_endpoint_events_tenant_id_event_id",
        ),
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("endpoint_id", BIG, nullable=False),
        sa.Column("secret_enc", sa.Text()),
        sa.Column("retires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_secrets"),
        sa.UniqueConstraint("uid", name="uq_webhook_secrets_uid"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_webhook_secrets_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "endpoint_id"],
            ["webhook_endpoints.tenant_id", "webhook_endpoints.id"],
            name="fk_webhook_secrets_tenant_id_endpoint_id",
        ),
    )
    op.create_index(
        "ix_webhook_secrets_tenant_id_endpoint_id_id",
        "webhook_secrets",
        ["tenant_id", "endpoint_id", "id"],
    )
    op.create_table(
        "webhook_events",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("event_id", BIG),
        sa.Column("subject_type", sa.String(64), nullable=False),
        sa.Column("subject_uid", sa.String(64), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("depth", BIG, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dedupe_key", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_events"),
        sa.UniqueConstraint(
            "tenant_id", "dedupe_key", name="uq_webhook_events_tenant_id_dedupe_key"
        ),
        sa.UniqueConstraint("tenant_id", "id", name="uq_webhook_events_tenant_id_id"),
        sa.UniqueConstraint("uid", name="uq_webhook_events_uid"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_webhook_events_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_webhook_events_tenant_id_event_id",
        ),
    )
    op.create_index(
        "ix_webhook_events_tenant_id_occurred_at_id",
        "webhook_events",
        ["tenant_id", "occurred_at", "id"],
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("endpoint_id", BIG, nullable=False),
        sa.Column("webhook_event_id", BIG, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("replay_no", BIG, nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("url_at_creation", sa.String(2000), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("unique_key", sa.CHAR(32), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("attempts", BIG, nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True)),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.Column("final_reason", sa.String(500)),
        sa.Column("created_by", BIG),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.UniqueConstraint(
            "endpoint_id",
            "webhook_event_id",
            "replay_no",
            name="uq_webhook_deliveries_endpoint_id_webhook_event_id_replay_no",
        ),
        sa.UniqueConstraint("tenant_id", "id", name="uq_webhook_deliveries_tenant_id_id"),
        sa.UniqueConstraint("uid", name="uq_webhook_deliveries_uid"),
        sa.ForeignKeyConstraint(
            ["created_by"], ["users.id"], name="fk_webhook_deliveries_created_by"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_webhook_deliveries_tenant_id"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "endpoint_id"],
            ["webhook_endpoints.tenant_id", "webhook_endpoints.id"],
            name="fk_webhook_deliveries_tenant_id_endpoint_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "webhook_event_id"],
            ["webhook_events.tenant_id", "webhook_events.id"],
            name="fk_webhook_deliveries_tenant_id_webhook_event_id",
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'held', 'waiting', 'sending', 'succeeded', 'failed', "
            "'cancelled')",
            name="ck_webhook_deliveries_status",
        ),
    )
    op.create_index(
        "uq_webhook_deliveries_on_its_way",
        "webhook_deliveries",
        ["tenant_id", "unique_key"],
        unique=True,
        sqlite_where=ON_ITS_WAY,
        postgresql_where=ON_ITS_WAY,
    )
    op.create_index(
        "ix_webhook_deliveries_endpoint_id_status_id",
        "webhook_deliveries",
        ["endpoint_id", "status", "id"],
    )
    op.create_index(
        "ix_webhook_deliveries_tenant_id_endpoint_id_id",
        "webhook_deliveries",
        ["tenant_id", "endpoint_id", "id"],
    )
    op.create_index(
        "ix_webhook_deliveries_tenant_id_status_id",
        "webhook_deliveries",
        ["tenant_id", "status", "id"],
    )
    op.create_index(
        "ix_webhook_deliveries_tenant_id_type_id", "webhook_deliveries", ["tenant_id", "type", "id"]
    )
    op.create_index(
        "ix_webhook_deliveries_tenant_id_webhook_event_id",
        "webhook_deliveries",
        ["tenant_id", "webhook_event_id"],
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("delivery_id", BIG, nullable=False),
        sa.Column("n", BIG, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", BIG, nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("address", sa.String(64)),
        sa.Column("request_headers", JSON, nullable=False),
        sa.Column("status_code", BIG),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("body_excerpt", sa.Text(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(24), nullable=False),
        sa.Column("error_class", sa.String(64)),
        sa.Column("error_text", sa.String(500)),
        sa.Column("retry_at", sa.DateTime(timezone=True)),
        sa.Column("secret_ids", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_attempts"),
        sa.UniqueConstraint("delivery_id", "n", name="uq_webhook_attempts_delivery_id_n"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_webhook_attempts_tenant_id"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "delivery_id"],
            ["webhook_deliveries.tenant_id", "webhook_deliveries.id"],
            name="fk_webhook_attempts_tenant_id_delivery_id",
        ),
        sa.CheckConstraint(
            "outcome IN ('succeeded', 'again', 'failed')",
            name="ck_webhook_attempts_outcome",
        ),
    )
    op.create_index("ix_webhook_attempts_started_at_id", "webhook_attempts", ["started_at", "id"])
    op.create_index(
        "ix_webhook_attempts_tenant_id_delivery_id",
        "webhook_attempts",
        ["tenant_id", "delivery_id"],
    )
    if op.get_bind().dialect.name == "postgresql":
        rule = f"tenant_id = {TENANT} OR {SYSTEM}"
        for table in OWNED:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant ON {table} USING ({rule}) WITH CHECK ({rule})")


def downgrade() -> None:
    for table in reversed(OWNED):
        op.drop_table(table)
