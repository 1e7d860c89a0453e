"""Invitations, sign-ups and checks of senders; why a tenant is suspended, a person's own zone."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TENANT = "nullif(current_setting('app.tenant', true), '')::bigint"
SYSTEM = "nullif(current_setting('app.system', true), '') IS NOT NULL"
OWNED = ("invitations", "sender_checks")
OPEN = sa.text("accepted_at IS NULL AND withdrawn_at IS NULL")


def upgrade() -> None:
    op.add_column("tenants", sa.Column("suspended_reason", sa.Text()))
    op.add_column("users", sa.Column("timezone", sa.String(64)))
    invitations()
    sign_ups()
    sender_checks()
    op.create_index(
        "ix_audit_log_tenant_id_actor_kind_actor_id_id",
        "audit_log",
        ["tenant_id", "actor_kind", "actor_id", "id"],
    )
    op.create_index("ix_audit_log_tenant_id_at", "audit_log", ["tenant_id", "at"])
    if op.get_bind().dialect.name == "postgresql":
        rule = f"tenant_id = {TENANT} OR {SYSTEM}"
        for table in OWNED:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant ON {table} USING ({rule}) WITH CHECK ({rule})")


def invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_norm", sa.String(320), nullable=False),
        sa.Column("role", sa.String(24), nullable=False),
        sa.Column("locale", sa.String(16), nullable=False),
        sa.Column("invited_by", BIG),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True)),
        sa.Column("accepted_by", BIG),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
        *stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("uid", name="uq_invitations_uid"),
        sa.UniqueConstraint("token_hash", name="uq_invitations_token_hash"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_invitations_tenant_id"),
        sa.ForeignKeyConstraint(["invited_by"], ["users.id"], name="fk_invitations_invited_by"),
        sa.ForeignKeyConstraint(["accepted_by"], ["users.id"], name="fk_invitations_accepted_by"),
        sa.CheckConstraint(
            "role IN ('owner', 'admin', 'organiser', 'viewer')", name="ck_invitations_role"
        ),
    )
    op.create_index(
        "uq_invitations_open", "invitations", ["tenant_id", "email_norm"],
        unique=True, postgresql_where=OPEN, sqlite_where=OPEN,
    )  # fmt: skip


def sign_ups() -> None:
    op.create_table(
        "sign_ups",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_norm", sa.String(320), nullable=False),
        sa.Column("tenant_name", sa.String(200), nullable=False),
        sa.Column("slug", sa.String(64), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("locale", sa.String(16), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.Column("tenant_id", BIG),
        *stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_sign_ups"),
        sa.UniqueConstraint("token_hash", name="uq_sign_ups_token_hash"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_sign_ups_tenant_id"),
    )
    op.create_index("ix_sign_ups_expires_at", "sign_ups", ["expires_at"])


def sender_checks() -> None:
    op.create_table(
        "sender_checks",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", BIG, nullable=False),
        sa.Column("asked_by", BIG),
        *stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_sender_checks"),
        sa.UniqueConstraint("tenant_id", name="uq_sender_checks_tenant_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_sender_checks_tenant_id"),
        sa.ForeignKeyConstraint(["asked_by"], ["users.id"], name="fk_sender_checks_asked_by"),
    )


def stamps() -> tuple[sa.Column[Any], sa.Column[Any]]:
    return (
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_index("ix_audit_log_tenant_id_at", "audit_log")
    op.drop_index("ix_audit_log_tenant_id_actor_kind_actor_id_id", "audit_log")
    for table in ("sender_checks", "sign_ups", "invitations"):
        op.drop_table(table)
    op.drop_column("users", "timezone")
    op.drop_column("tenants", "suspended_reason")
