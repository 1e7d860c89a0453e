"""Mails, their log, suppressed addresses, notices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "mails",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("user_id", BIG),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("template_key", sa.String(64)),
        sa.Column("template_version", BIG),
        sa.Column("locale", sa.String(16), nullable=False),
        sa.Column("to_name", sa.String(200)),
        sa.Column("to_addr", sa.String(320), nullable=False),
        sa.Column("to_norm", sa.String(320), nullable=False),
        sa.Column("from_addr", sa.String(520)),
        sa.Column("reply_to", sa.String(320)),
        sa.Column("subject", sa.Text()),
        sa.Column("body_text", sa.Text()),
        sa.Column("body_html", sa.Text()),
        sa.Column("data", JSON),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("attachments", JSON, nullable=False),
        sa.Column("sensitive", sa.Boolean(), nullable=False),
        sa.Column("priority", BIG, nullable=False),
        sa.Column("delivery", sa.String(24), nullable=False),
        sa.Column("related_type", sa.String(64)),
        sa.Column("related_id", BIG),
        sa.Column("dedupe_key", sa.String(200), nullable=False),
        sa.Column("message_id", sa.String(255)),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("attempts", BIG, nullable=False),
        sa.Column("releases", BIG, nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True)),
        sa.Column("lease_token", sa.String(64)),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("transport", sa.String(64)),
        sa.Column("provider_id", sa.String(255)),
        sa.Column("last_error", sa.Text()),
        sa.Column("queued_at", sa.DateTime(timezone=True)),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mails"),
        sa.UniqueConstraint("dedupe_key", name="uq_mails_dedupe_key"),
        sa.UniqueConstraint("message_id", name="uq_mails_message_id"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_mails_tenant_id_id"),
        sa.UniqueConstraint("uid", name="uq_mails_uid"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_mails_tenant_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_mails_user_id"),
        sa.CheckConstraint(
            "delivery IN ('at_most_once', 'at_least_once')", name="ck_mails_delivery"
        ),
        sa.CheckConstraint(
            "status IN ('held', 'queued', 'limited', 'sending', 'sent', 'uncertain', "
            "'failed', 'suppressed', 'cancelled', 'bounced', 'complained')",
            name="ck_mails_status",
        ),
    )
    op.create_index("ix_mails_status_next_at_priority", "mails", ["status", "next_at", "priority"])
    op.create_index(
        "ix_mails_tenant_id_related_type_related_id",
        "mails",
        ["tenant_id", "related_type", "related_id"],
    )
    op.create_index("ix_mails_tenant_id_status_id", "mails", ["tenant_id", "status", "id"])
    op.create_table(
        "email_log",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG),
        sa.Column("mail_id", BIG, nullable=False),
        sa.Column("user_id", BIG),
        sa.Column("to_norm", sa.String(320), nullable=False),
        sa.Column("n", BIG, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(24), nullable=False),
        sa.Column("code", sa.String(64)),
        sa.Column("detail", sa.Text()),
        sa.Column("transport", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_email_log"),
        sa.UniqueConstraint("mail_id", "n", name="uq_email_log_mail_id_n"),
        sa.ForeignKeyConstraint(["mail_id"], ["mails.id"], name="fk_email_log_mail_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_email_log_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "mail_id"],
            ["mails.tenant_id", "mails.id"],
            name="fk_email_log_tenant_id_mail_id",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_email_log_user_id"),
        sa.CheckConstraint(
            "outcome IN ('sent', 'deferred', 'limited', 'failed', 'suppressed', "
            "'bounced', 'complained', 'uncertain')",
            name="ck_email_log_outcome",
        ),
    )
    op.create_index("ix_email_log_tenant_id_at", "email_log", ["tenant_id", "at"])
    op.create_table(
        "mail_suppressions",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG),
        sa.Column("email_norm", sa.String(320), nullable=False),
        sa.Column("reason", sa.String(24), nullable=False),
        sa.Column("scope", sa.String(24), nullable=False),
        sa.Column("source_mail_id", BIG),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mail_suppressions"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_mail_suppressions_tenant_id"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "source_mail_id"],
            ["mails.tenant_id", "mails.id"],
            name="fk_mail_suppressions_tenant_id_source_mail_id",
        ),
        sa.CheckConstraint(
            "reason IN ('hard_bounce', 'complaint', 'manual', 'unsubscribe')",
            name="ck_mail_suppressions_reason",
        ),
        sa.CheckConstraint(
            "scope IN ('all', 'non_transactional')", name="ck_mail_suppressions_scope"
        ),
    )
    op.create_index(
        "uq_mail_suppressions_platform",
        "mail_suppressions",
        ["email_norm", "scope"],
        unique=True,
        postgresql_where=sa.text("tenant_id IS NULL"),
        sqlite_where=sa.text("tenant_id IS NULL"),
    )
    op.create_index(
        "uq_mail_suppressions_tenant",
        "mail_suppressions",
        ["tenant_id", "email_norm", "scope"],
        unique=True,
        postgresql_where=sa.text("tenant_id IS NOT NULL"),
        sqlite_where=sa.text("tenant_id IS NOT NULL"),
    )
    op.create_table(
        "notifications",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(24), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("link", sa.String(500)),
        sa.Column("related_type", sa.String(64)),
        sa.Column("related_id", BIG),
        sa.Column("dedupe_key", sa.String(200), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.UniqueConstraint(
            "tenant_id",
            "user_id",
            "dedupe_key",
            name="uq_notifications_tenant_id_user_id_dedupe_key",
        ),
        sa.UniqueConstraint("uid", name="uq_notifications_uid"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_notifications_tenant_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_notifications_user_id"),
        sa.CheckConstraint(
            "severity IN ('info', 'success', 'warning', 'error')", name="ck_notifications_severity"
        ),
    )
    op.create_index(
        "ix_notifications_tenant_id_user_id_read_at_id",
        "notifications",
        ["tenant_id", "user_id", "read_at", "id"],
    )


def downgrade() -> None:
    op.drop_table("notifications")
    op.drop_table("mail_suppressions")
    op.drop_table("email_log")
    op.drop_table("mails")
