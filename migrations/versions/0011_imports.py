"""Imports with their chunks, rows and remembered mappings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "nullif(current_setting('app.tenant', true), '')::bigint"
SYSTEM = "nullif(current_setting('app.system', true), '') IS NOT NULL"
OWNED = ("imports", "import_chunks", "import_rows", "import_mappings")
WRITTEN = sa.text("state IN ('created', 'updated') AND claim IS NOT NULL")
PROBLEM = sa.text(
    "state IN ('invalid', 'dup_in_file', 'dup_existing', 'skipped', 'failed', 'kept')"
)


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("event_id", BIG),
        sa.Column("uploaded_by", BIG),
        sa.Column("filename", sa.String(200), nullable=False),
        sa.Column("storage_key", sa.String(300)),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("format", sa.String(24), nullable=False),
        sa.Column("layout", JSON, nullable=False),
        sa.Column("header", JSON, nullable=False),
        sa.Column("mapping", JSON, nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("batch_id", sa.String(64)),
        sa.Column("turn", BIG, nullable=False),
        sa.Column("rows_total", BIG, nullable=False),
        sa.Column("rows_read", BIG, nullable=False),
        sa.Column("chunk_size", BIG, nullable=False),
        sa.Column("error", JSON),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("undo_until", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_imports_tenant_id_id"),
        sa.UniqueConstraint("uid", name="uq_imports_uid"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_imports_tenant_id"),
        sa.ForeignKeyConstraint(["uploaded_by"], ["users.id"], name="fk_imports_uploaded_by"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_imports_tenant_id_event_id",
        ),
        sa.CheckConstraint("kind IN ('attendees', 'users')", name="ck_imports_kind"),
        sa.CheckConstraint("format IN ('csv', 'xlsx')", name="ck_imports_format"),
        sa.CheckConstraint(
            "state IN ('uploaded', 'mapped', 'validating', 'validated', 'running', "
            "'cancelling', 'cancelled', 'done', 'done_with_errors', 'failed', 'undoing', "
            "'undone')",
            name="ck_imports_state",
        ),
    )
    op.create_index("ix_imports_tenant_id_sha256", "imports", ["tenant_id", "sha256"])
    op.create_index("ix_imports_state_updated_at", "imports", ["state", "updated_at"])
    op.create_table(
        "import_chunks",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("import_id", BIG, nullable=False, autoincrement=False),
        sa.Column("n", BIG, nullable=False, autoincrement=False),
        sa.Column("first_row", BIG, nullable=False),
        sa.Column("last_row", BIG, nullable=False),
        sa.Column("rows", BIG, nullable=False),
        sa.Column("content", sa.LargeBinary()),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("attempts", BIG, nullable=False),
        sa.Column("error", JSON),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "n", name="pk_import_chunks"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_import_chunks_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.id"],
            name="fk_import_chunks_tenant_id_import_id",
        ),
        sa.CheckConstraint(
            "state IN ('read', 'checked', 'done', 'failed', 'undone')",
            name="ck_import_chunks_state",
        ),
    )
    op.create_table(
        "import_rows",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("import_id", BIG, nullable=False, autoincrement=False),
        sa.Column("row_no", BIG, nullable=False, autoincrement=False),
        sa.Column("chunk_no", BIG, nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("claim", sa.String(32)),
        sa.Column("repeats", BIG),
        sa.Column("errors", JSON),
        sa.Column("entity_id", BIG),
        sa.Column("entity_at", sa.DateTime(timezone=True)),
        sa.Column("before", JSON),
        sa.PrimaryKeyConstraint("import_id", "row_no", name="pk_import_rows"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_import_rows_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.id"],
            name="fk_import_rows_tenant_id_import_id",
        ),
        sa.CheckConstraint(
            "state IN ('valid', 'invalid', 'dup_in_file', 'dup_existing', 'created', 'updated', "
            "'skipped', 'failed', 'undone', 'kept')",
            name="ck_import_rows_state",
        ),
    )
    op.create_index(
        "uq_import_rows_claim",
        "import_rows",
        ["import_id", "claim"],
        unique=True,
        sqlite_where=WRITTEN,
        postgresql_where=WRITTEN,
    )
    op.create_index(
        "ix_import_rows_problem",
        "import_rows",
        ["import_id", "row_no"],
        sqlite_where=PROBLEM,
        postgresql_where=PROBLEM,
    )
    op.create_index("ix_import_rows_import_id_chunk_no", "import_rows", ["import_id", "chunk_no"])
    op.create_table(
        "import_mappings",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("header_hash", sa.String(64), nullable=False),
        sa.Column("mapping", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_import_mappings"),
        sa.UniqueConstraint(
            "tenant_id",
            "kind",
            "header_hash",
            name="uq_import_mappings_tenant_id_kind_header_hash",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_import_mappings_tenant_id"),
        sa.CheckConstraint("kind IN ('attendees', 'users')", name="ck_import_mappings_kind"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in OWNED:
            rule = f"tenant_id = {TENANT} OR {SYSTEM}"
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant ON {table} USING ({rule}) WITH CHECK ({rule})")


def downgrade() -> None:
    for table in reversed(OWNED):
        op.drop_table(table)
