"""What each chunk of an import raised, to be lowered again; what deleted exports left behind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "nullif(current_setting('app.tenant', true), '')::bigint"
SYSTEM = "nullif(current_setting('app.system', true), '') IS NOT NULL"


def upgrade() -> None:
    op.add_column("import_chunks", sa.Column("raised", JSON))
    op.create_table(
        "export_remains",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("storage_key", sa.String(240), nullable=False),
        sa.Column("rows", BIG, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("remove_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_export_remains"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_export_remains_tenant_id"),
    )
    op.create_index("ix_export_remains_remove_at", "export_remains", ["remove_at"])
    op.create_index(
        "ix_export_remains_tenant_id_asked_at", "export_remains", ["tenant_id", "asked_at"]
    )
    if op.get_bind().dialect.name == "postgresql":
        rule = f"tenant_id = {TENANT} OR {SYSTEM}"
        op.execute("ALTER TABLE export_remains ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE export_remains FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON export_remains USING ({rule}) WITH CHECK ({rule})")


def downgrade() -> None:
    op.drop_table("export_remains")
    op.drop_column("import_chunks", "raised")
