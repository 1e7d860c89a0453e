"""Tokens of the API and its remembered answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "nullif(current_setting('app.tenant', true), '')::bigint"
SYSTEM = "nullif(current_setting('app.system', true), '') IS NOT NULL"
OWNED = ("api_tokens", "api_idempotency")


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("prefix", sa.String(40), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_ip", sa.String(45)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("uid", name="uq_api_tokens_uid"),
        sa.UniqueConstraint("token_hash", name="uq_api_tokens_token_hash"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_api_tokens_tenant_id_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_api_tokens_tenant_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_tokens_user_id"),
    )
    op.create_table(
        "api_idempotency",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("token_id", BIG, nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("method", sa.String(8), nullable=False),
        sa.Column("path", sa.String(500), nullable=False),
        sa.Column("body_hash", sa.String(64), nullable=False),
        sa.Column("locked_at", sa.DateTime(timezone=True)),
        sa.Column("lock_token", sa.String(32)),
        sa.Column("status_code", BIG),
        sa.Column("response", sa.Text()),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_idempotency"),
        sa.UniqueConstraint("token_id", "key", name="uq_api_idempotency_token_id_key"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_api_idempotency_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "token_id"],
            ["api_tokens.tenant_id", "api_tokens.id"],
            name="fk_api_idempotency_tenant_id_token_id",
        ),
    )
    op.create_index("ix_api_idempotency_expires_at", "api_idempotency", ["expires_at"])
    if op.get_bind().dialect.name == "postgresql":
        rule = f"tenant_id = {TENANT} OR {SYSTEM}"
        for table in OWNED:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant ON {table} USING ({rule}) WITH CHECK ({rule})")


def downgrade() -> None:
    for table in reversed(OWNED):
        op.drop_table(table)
