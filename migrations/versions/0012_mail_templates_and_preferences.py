"""Mail templates, notification preferences, alert channels, news of mails, tokens sent by mail."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TENANT = "nullif(current_setting('app.tenant', true), '')::bigint"
SYSTEM = "nullif(current_setting('app.system', true), '') IS NOT NULL"
OWNED = (
    "mail_templates", "notification_prefs", "alert_channels", "alert_deliveries", "mail_news",
)  # fmt: skip
OF_EVENTS = sa.text("event_id IS NOT NULL")
OF_TENANTS = sa.text("event_id IS NULL")
KNOWN = sa.text("provider_id IS NOT NULL")


def upgrade() -> None:
    templates()
    preferences()
    channels()
    news()
    tokens()
    op.create_index("ix_mails_tenant_id_to_norm_id", "mails", ["tenant_id", "to_norm", "id"])
    op.create_index(
        "ix_mails_provider_id", "mails", ["provider_id"],
        postgresql_where=KNOWN, sqlite_where=KNOWN,
    )  # fmt: skip
    op.add_column("mail_suppressions", sa.Column("note", sa.String(500)))
    if op.get_bind().dialect.name == "postgresql":
        rule = f"tenant_id = {TENANT} OR {SYSTEM}"
        for table in OWNED:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant ON {table} USING ({rule}) WITH CHECK ({rule})")


def templates() -> None:
    op.create_table(
        "mail_templates",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("event_id", BIG),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("locale", sa.String(16), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_by", BIG),
        *stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_mail_templates"),
        sa.UniqueConstraint("uid", name="uq_mail_templates_uid"),
        of_tenant("mail_templates"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_mail_templates_created_by"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_mail_templates_tenant_id_event_id",
        ),
    )
    op.create_index(
        "uq_mail_templates_event", "mail_templates",
        ["tenant_id", "event_id", "key", "locale", "version"],
        unique=True, postgresql_where=OF_EVENTS, sqlite_where=OF_EVENTS,
    )  # fmt: skip
    op.create_index(
        "uq_mail_templates_tenant", "mail_templates", ["tenant_id", "key", "locale", "version"],
        unique=True, postgresql_where=OF_TENANTS, sqlite_where=OF_TENANTS,
    )  # fmt: skip


def preferences() -> None:
    op.create_table(
        "notification_prefs",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(24), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        *stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_notification_prefs"),
        sa.UniqueConstraint(
            "tenant_id", "user_id", "kind", "channel",
            name="uq_notification_prefs_tenant_id_user_id_kind_channel",
        ),
        of_tenant("notification_prefs"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_notification_prefs_user_id"),
        sa.CheckConstraint("channel IN ('page', 'mail')", name="ck_notification_prefs_channel"),
    )  # fmt: skip


def channels() -> None:
    op.create_table(
        "alert_channels",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("form", sa.String(24), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text()),
        sa.Column("severity", sa.String(24), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("fails_in_row", BIG, nullable=False),
        sa.Column("last_error", sa.String(500)),
        sa.Column("last_sent_at", sa.DateTime(timezone=True)),
        sa.Column("created_by", BIG),
        *stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_alert_channels"),
        sa.UniqueConstraint("uid", name="uq_alert_channels_uid"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_alert_channels_tenant_id_id"),
        of_tenant("alert_channels"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_alert_channels_created_by"),
        sa.CheckConstraint("form IN ('slack', 'webhook')", name="ck_alert_channels_form"),
        sa.CheckConstraint(
            "severity IN ('info', 'success', 'warning', 'error')", name="ck_alert_channels_severity"
        ),
        sa.CheckConstraint("status IN ('enabled', 'disabled')", name="ck_alert_channels_status"),
    )
    op.create_table(
        "alert_deliveries",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("channel_id", BIG, nullable=False),
        sa.Column("dedupe_key", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(24), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("link", sa.String(500)),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("attempts", BIG, nullable=False),
        sa.Column("last_error", sa.String(500)),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        *stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_alert_deliveries"),
        sa.UniqueConstraint("uid", name="uq_alert_deliveries_uid"),
        sa.UniqueConstraint(
            "channel_id", "dedupe_key", name="uq_alert_deliveries_channel_id_dedupe_key"
        ),
        of_tenant("alert_deliveries"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "channel_id"],
            ["alert_channels.tenant_id", "alert_channels.id"],
            name="fk_alert_deliveries_tenant_id_channel_id",
        ),
        sa.CheckConstraint(
            "severity IN ('info', 'success', 'warning', 'error')",
            name="ck_alert_deliveries_severity",
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'sent', 'failed')", name="ck_alert_deliveries_status"
        ),
    )
    op.create_index(
        "ix_alert_deliveries_tenant_id_channel_id_id",
        "alert_deliveries",
        ["tenant_id", "channel_id", "id"],
    )


def news() -> None:
    op.create_table(
        "mail_news",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG),
        sa.Column("provider", sa.String(24), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("type", sa.String(24), nullable=False),
        sa.Column("email_norm", sa.String(320), nullable=False),
        sa.Column("mail_id", BIG),
        sa.Column("detail", sa.String(500)),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("result", sa.String(120), nullable=False),
        *stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_mail_news"),
        sa.UniqueConstraint(
            "provider", "key", "email_norm", name="uq_mail_news_provider_key_email_norm"
        ),
        of_tenant("mail_news"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "mail_id"],
            ["mails.tenant_id", "mails.id"],
            name="fk_mail_news_tenant_id_mail_id",
        ),
        sa.CheckConstraint(
            "type IN ('delivered', 'soft_bounce', 'hard_bounce', 'complaint')",
            name="ck_mail_news_type",
        ),
    )
    op.create_index(
        "ix_mail_news_tenant_id_email_norm_occurred_at",
        "mail_news",
        ["tenant_id", "email_norm", "occurred_at"],
    )


def tokens() -> None:
    op.create_table(
        "account_tokens",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("tenant_id", BIG),
        sa.Column("purpose", sa.String(24), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        *stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_account_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_account_tokens_token_hash"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_account_tokens_user_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_account_tokens_tenant_id"),
        sa.CheckConstraint(
            "purpose IN ('welcome', 'password_reset', 'invitation', 'email_change')",
            name="ck_account_tokens_purpose",
        ),
    )
    op.create_index("ix_account_tokens_user_id_purpose", "account_tokens", ["user_id", "purpose"])
    op.create_index("ix_account_tokens_expires_at", "account_tokens", ["expires_at"])


def stamps() -> tuple[sa.Column[Any], sa.Column[Any]]:
    return (
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )


def of_tenant(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=f"fk_{table}_tenant_id")


def downgrade() -> None:
    op.drop_column("mail_suppressions", "note")
    op.drop_index("ix_mails_provider_id", "mails")
    op.drop_index("ix_mails_tenant_id_to_norm_id", "mails")
    for table in ("account_tokens", "mail_news", "alert_deliveries", "alert_channels"):
        op.drop_table(table)
    op.drop_table("notification_prefs")
    op.drop_table("mail_templates")
