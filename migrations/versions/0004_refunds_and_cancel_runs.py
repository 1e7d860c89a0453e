"""Cancel runs, the refund ledger, the provider's inbox and circuit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "cancel_runs",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("lanes", BIG, nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("preview", JSON, nullable=False),
        sa.Column("preview_hash", sa.String(64)),
        sa.Column("code_hash", sa.String(255)),
        sa.Column("code_expires_at", sa.DateTime(timezone=True)),
        sa.Column("code_tries", BIG, nullable=False),
        sa.Column("started_by", BIG),
        sa.Column("confirmed_by", BIG),
        sa.Column("batch_id", sa.String(64)),
        sa.Column("fence", BIG, nullable=False),
        sa.Column("paused_from", sa.String(24)),
        sa.Column("pause_code", sa.String(24)),
        sa.Column("pause_reason", sa.Text()),
        sa.Column("resume_at", sa.DateTime(timezone=True)),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("paused_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("report_key", sa.String(200)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cancel_runs"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_cancel_runs_tenant_id_id"),
        sa.UniqueConstraint("uid", name="uq_cancel_runs_uid"),
        sa.ForeignKeyConstraint(["confirmed_by"], ["users.id"], name="fk_cancel_runs_confirmed_by"),
        sa.ForeignKeyConstraint(["started_by"], ["users.id"], name="fk_cancel_runs_started_by"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_cancel_runs_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_cancel_runs_tenant_id_event_id",
        ),
        sa.CheckConstraint("lanes >= 1", name="ck_cancel_runs_has_lanes"),
        sa.CheckConstraint(
            "pause_code IN ('person', 'provider', 'tenant_suspended', 'worker')",
            name="ck_cancel_runs_pause_code",
        ),
        sa.CheckConstraint(
            "state IN ('preview', 'confirmed', 'running', 'paused', 'sweeping', 'done', "
            "'done_with_errors', 'aborted')",
            name="ck_cancel_runs_state",
        ),
        sa.CheckConstraint("code_tries >= 0", name="ck_cancel_runs_tries_not_negative"),
    )
    op.create_index(
        "ix_cancel_runs_tenant_id_event_id_id", "cancel_runs", ["tenant_id", "event_id", "id"]
    )
    op.create_index(
        "uq_cancel_runs_event_id_active",
        "cancel_runs",
        ["tenant_id", "event_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('confirmed', 'running', 'paused', 'sweeping')"),
        sqlite_where=sa.text("state IN ('confirmed', 'running', 'paused', 'sweeping')"),
    )
    op.create_table(
        "cancel_lanes",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("run_id", BIG, nullable=False, autoincrement=False),
        sa.Column("lane", BIG, nullable=False, autoincrement=False),
        sa.Column("fence", BIG, nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("job_id", sa.String(64)),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "lane", name="pk_cancel_lanes"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_cancel_lanes_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "run_id"],
            ["cancel_runs.tenant_id", "cancel_runs.id"],
            name="fk_cancel_lanes_tenant_id_run_id",
        ),
        sa.CheckConstraint("lane >= 0 AND fence >= 0", name="ck_cancel_lanes_not_negative"),
        sa.CheckConstraint("state IN ('todo', 'running', 'done')", name="ck_cancel_lanes_state"),
    )
    op.create_table(
        "refunds",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("payment_id", BIG),
        sa.Column("invoice_id", BIG),
        sa.Column("credit_note_id", BIG),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("attendee_id", BIG),
        sa.Column("run_id", BIG),
        sa.Column("lane", BIG),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("amount_minor", BIG, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("mode", sa.String(24), nullable=False),
        sa.Column("source", sa.String(24), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("idempotency_key", sa.String(128), nullable=False),
        sa.Column("provider", sa.String(32)),
        sa.Column("provider_refund_id", sa.String(128)),
        sa.Column("provider_status", sa.String(64)),
        sa.Column("pending_reason", sa.String(128)),
        sa.Column("failure_code", sa.String(128)),
        sa.Column("failure_text", sa.Text()),
        sa.Column("requested_by", BIG),
        sa.Column("reason", sa.Text()),
        sa.Column("lease_token", sa.String(64)),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refunds"),
        sa.UniqueConstraint("idempotency_key", name="uq_refunds_idempotency_key"),
        sa.UniqueConstraint("payment_id", "seq", name="uq_refunds_payment_id_seq"),
        sa.UniqueConstraint(
            "provider", "provider_refund_id", name="uq_refunds_provider_provider_refund_id"
        ),
        sa.UniqueConstraint(
            "tenant_id", "credit_note_id", name="uq_refunds_tenant_id_credit_note_id"
        ),
        sa.UniqueConstraint("tenant_id", "id", name="uq_refunds_tenant_id_id"),
        sa.UniqueConstraint("uid", name="uq_refunds_uid"),
        sa.ForeignKeyConstraint(["requested_by"], ["users.id"], name="fk_refunds_requested_by"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_refunds_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "attendee_id"],
            ["attendees.tenant_id", "attendees.id"],
            name="fk_refunds_tenant_id_attendee_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "credit_note_id"],
            ["invoices.tenant_id", "invoices.id"],
            name="fk_refunds_tenant_id_credit_note_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoices.tenant_id", "invoices.id"],
            name="fk_refunds_tenant_id_invoice_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name="fk_refunds_tenant_id_order_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name="fk_refunds_tenant_id_payment_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "run_id"],
            ["cancel_runs.tenant_id", "cancel_runs.id"],
            name="fk_refunds_tenant_id_run_id",
        ),
        sa.CheckConstraint("amount_minor > 0", name="ck_refunds_amount_positive"),
        sa.CheckConstraint(
            "mode NOT IN ('auto', 'external') OR payment_id IS NOT NULL",
            name="ck_refunds_auto_has_payment",
        ),
        sa.CheckConstraint(
            "mode IN ('auto', 'manual', 'external', 'credit')", name="ck_refunds_mode"
        ),
        sa.CheckConstraint(
            "source IN ('cancel_run', 'organiser', 'buyer', 'chain', 'provider')",
            name="ck_refunds_source",
        ),
        sa.CheckConstraint(
            "status IN ('planned', 'sending', 'uncertain', 'pending', 'succeeded', "
            "'failed', 'cancelled')",
            name="ck_refunds_status",
        ),
    )
    op.create_index("ix_refunds_run_id_lane_status", "refunds", ["run_id", "lane", "status"])
    op.create_index("ix_refunds_tenant_id_order_id", "refunds", ["tenant_id", "order_id"])
    op.create_index(
        "ix_refunds_tenant_id_run_id_status", "refunds", ["tenant_id", "run_id", "status"]
    )
    op.create_index("ix_refunds_tenant_id_status_id", "refunds", ["tenant_id", "status", "id"])
    op.create_index(
        "uq_refunds_run_id_payment_id_live",
        "refunds",
        ["run_id", "payment_id"],
        unique=True,
        postgresql_where=sa.text("status NOT IN ('failed', 'cancelled')"),
        sqlite_where=sa.text("status NOT IN ('failed', 'cancelled')"),
    )
    op.create_table(
        "refund_attempts",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("refund_id", BIG, nullable=False),
        sa.Column("n", BIG, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.String(32)),
        sa.Column("http_status", BIG),
        sa.Column("provider_code", sa.String(128)),
        sa.Column("excerpt", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_refund_attempts"),
        sa.UniqueConstraint("refund_id", "n", name="uq_refund_attempts_refund_id_n"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_refund_attempts_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "refund_id"],
            ["refunds.tenant_id", "refunds.id"],
            name="fk_refund_attempts_tenant_id_refund_id",
        ),
    )
    op.create_table(
        "cancel_items",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("run_id", BIG, nullable=False),
        sa.Column("unit", BIG, nullable=False),
        sa.Column("lane", BIG, nullable=False),
        sa.Column("attendee_id", BIG, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("invoice_id", BIG),
        sa.Column("payment_id", BIG),
        sa.Column("name_snapshot", sa.String(200), nullable=False),
        sa.Column("email_snapshot", sa.String(320)),
        sa.Column("locale", sa.String(16), nullable=False),
        sa.Column("planned_minor", BIG, nullable=False),
        sa.Column("kept_minor", BIG, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("refund_state", sa.String(24), nullable=False),
        sa.Column("refund_id", BIG),
        sa.Column("cancel_state", sa.String(24), nullable=False),
        sa.Column("mail_state", sa.String(24), nullable=False),
        sa.Column("mail_id", BIG),
        sa.Column("skip_reason", sa.String(64)),
        sa.Column("error_code", sa.String(128)),
        sa.Column("error_text", sa.Text()),
        sa.Column("attempts", BIG, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cancel_items"),
        sa.UniqueConstraint("run_id", "attendee_id", name="uq_cancel_items_run_id_attendee_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_cancel_items_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "attendee_id"],
            ["attendees.tenant_id", "attendees.id"],
            name="fk_cancel_items_tenant_id_attendee_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoices.tenant_id", "invoices.id"],
            name="fk_cancel_items_tenant_id_invoice_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "mail_id"],
            ["mails.tenant_id", "mails.id"],
            name="fk_cancel_items_tenant_id_mail_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name="fk_cancel_items_tenant_id_order_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name="fk_cancel_items_tenant_id_payment_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "refund_id"],
            ["refunds.tenant_id", "refunds.id"],
            name="fk_cancel_items_tenant_id_refund_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "run_id"],
            ["cancel_runs.tenant_id", "cancel_runs.id"],
            name="fk_cancel_items_tenant_id_run_id",
        ),
        sa.CheckConstraint("cancel_state IN ('todo', 'done')", name="ck_cancel_items_cancel_state"),
        sa.CheckConstraint(
            "mail_state IN ('todo', 'queued', 'sent', 'suppressed', 'no_address', "
            "'failed', 'uncertain')",
            name="ck_cancel_items_mail_state",
        ),
        sa.CheckConstraint("planned_minor >= 0", name="ck_cancel_items_planned_not_negative"),
        sa.CheckConstraint(
            "refund_state IN ('todo', 'none_needed', 'sent', 'pending', 'done', 'manual', "
            "'failed', 'uncertain')",
            name="ck_cancel_items_refund_state",
        ),
    )
    op.create_index("ix_cancel_items_mail_id", "cancel_items", ["mail_id"])
    op.create_index("ix_cancel_items_refund_id", "cancel_items", ["refund_id"])
    op.create_index(
        "ix_cancel_items_run_id_lane_refund_state_unit",
        "cancel_items",
        ["run_id", "lane", "refund_state", "unit"],
    )
    op.create_index("ix_cancel_items_run_id_mail_state", "cancel_items", ["run_id", "mail_state"])
    op.create_index(
        "ix_cancel_items_run_id_refund_state", "cancel_items", ["run_id", "refund_state"]
    )
    op.create_index("ix_cancel_items_run_id_unit", "cancel_items", ["run_id", "unit"])
    op.create_table(
        "provider_events",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("account", sa.String(64)),
        sa.Column("event_id", sa.String(128), nullable=False),
        sa.Column("type", sa.String(128), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True)),
        sa.Column("result", sa.String(64)),
        sa.Column("error", sa.Text()),
        sa.Column("tries", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_provider_events"),
        sa.UniqueConstraint("provider", "event_id", name="uq_provider_events_provider_event_id"),
    )
    op.create_index("ix_provider_events_processed_at_id", "provider_events", ["processed_at", "id"])
    op.create_table(
        "provider_circuits",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("failures_in_row", BIG, nullable=False),
        sa.Column("recent", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("opened_at", sa.DateTime(timezone=True)),
        sa.Column("retry_at", sa.DateTime(timezone=True)),
        sa.Column("probe_token", sa.String(64)),
        sa.Column("probe_until", sa.DateTime(timezone=True)),
        sa.Column("version", BIG, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_provider_circuits"),
        sa.UniqueConstraint("provider", "account", name="uq_provider_circuits_provider_account"),
        sa.CheckConstraint(
            "failures_in_row >= 0", name="ck_provider_circuits_failures_not_negative"
        ),
        sa.CheckConstraint(
            "state IN ('closed', 'open', 'half_open')", name="ck_provider_circuits_state"
        ),
    )


def downgrade() -> None:
    op.drop_table("provider_circuits")
    op.drop_table("provider_events")
    op.drop_table("cancel_items")
    op.drop_table("refund_attempts")
    op.drop_table("refunds")
    op.drop_table("cancel_lanes")
    op.drop_table("cancel_runs")
