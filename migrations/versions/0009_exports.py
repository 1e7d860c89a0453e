"""Exports, their presets and schedules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "nullif(current_setting('app.tenant', true), '')::bigint"
SYSTEM = "nullif(current_setting('app.system', true), '') IS NOT NULL"
OWNED = ("export_schedules", "exports", "export_presets")
OPEN = sa.text("state IN ('queued', 'running', 'uploading')")


def upgrade() -> None:
    op.create_table(
        "export_schedules",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("owner_id", BIG, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("repeat", sa.String(24), nullable=False),
        sa.Column("weekday", BIG, nullable=False),
        sa.Column("monthday", BIG, nullable=False),
        sa.Column("time_of_day", sa.String(5), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("recipients", JSON, nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True)),
        sa.Column("last_at", sa.DateTime(timezone=True)),
        sa.Column("error_count", BIG, nullable=False),
        sa.Column("last_error", JSON),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_export_schedules"),
        sa.CheckConstraint("error_count >= 0", name="ck_export_schedules_errors_not_negative"),
        sa.CheckConstraint(
            "monthday >= 1 AND monthday <= 31", name="ck_export_schedules_monthday_exists"
        ),
        sa.CheckConstraint(
            "repeat IN ('daily', 'weekly', 'monthly')",
            name="ck_export_schedules_repeat",
        ),
        sa.CheckConstraint(
            "weekday >= 0 AND weekday <= 6", name="ck_export_schedules_weekday_exists"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_export_schedules_owner_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_export_schedules_tenant_id"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_export_schedules_tenant_id_event_id",
        ),
        sa.UniqueConstraint("tenant_id", "id", name="uq_export_schedules_tenant_id_id"),
        sa.UniqueConstraint("uid", name="uq_export_schedules_uid"),
    )
    op.create_index(
        "ix_export_schedules_enabled_next_at", "export_schedules", ["enabled", "next_at"]
    )
    op.create_table(
        "exports",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("schedule_id", BIG),
        sa.Column("planned_at", sa.DateTime(timezone=True)),
        sa.Column("requested_by", BIG, nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("total", BIG, nullable=False),
        sa.Column("done", BIG, nullable=False),
        sa.Column("fence", BIG, nullable=False),
        sa.Column("snapshot_at", sa.DateTime(timezone=True)),
        sa.Column("size", BIG),
        sa.Column("sha256", sa.String(64)),
        sa.Column("storage_key", sa.String(240), nullable=False),
        sa.Column("filename", sa.String(200), nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error", JSON),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ready_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("downloads", BIG, nullable=False),
        sa.Column("last_download_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_exports"),
        sa.CheckConstraint(
            "total >= 0 AND done >= 0 AND fence >= 0", name="ck_exports_not_negative"
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'uploading', 'ready', 'failed', "
            "'cancelled', 'expired')",
            name="ck_exports_state",
        ),
        sa.ForeignKeyConstraint(["requested_by"], ["users.id"], name="fk_exports_requested_by"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_exports_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_exports_tenant_id_event_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "schedule_id"],
            ["export_schedules.tenant_id", "export_schedules.id"],
            name="fk_exports_tenant_id_schedule_id",
        ),
        sa.UniqueConstraint("schedule_id", "planned_at", name="uq_exports_schedule_id_planned_at"),
        sa.UniqueConstraint("storage_key", name="uq_exports_storage_key"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_exports_tenant_id_id"),
        sa.UniqueConstraint("uid", name="uq_exports_uid"),
    )
    op.create_index("ix_exports_state_expires_at", "exports", ["state", "expires_at"])
    op.create_index("ix_exports_tenant_id_event_id_id", "exports", ["tenant_id", "event_id", "id"])
    op.create_index("ix_exports_tenant_id_id", "exports", ["tenant_id", "id"])
    op.create_index(
        "uq_exports_request_hash_open",
        "exports",
        ["tenant_id", "request_hash"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_table(
        "export_presets",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("owner_id", BIG, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_export_presets"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_export_presets_owner_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_export_presets_tenant_id"),
        sa.UniqueConstraint(
            "tenant_id", "owner_id", "name", name="uq_export_presets_tenant_id_owner_id_name"
        ),
        sa.UniqueConstraint("uid", name="uq_export_presets_uid"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in OWNED:
            protect(table, f"tenant_id = {TENANT} OR {SYSTEM}")


def protect(table: str, rule: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} USING ({rule}) WITH CHECK ({rule})")


def downgrade() -> None:
    for table in reversed(OWNED):
        op.drop_table(table)
