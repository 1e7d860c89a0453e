"""What an event sold: in all, by day and by kind of ticket."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TENANT = "nullif(current_setting('app.tenant', true), '')::bigint"
SYSTEM = "nullif(current_setting('app.system', true), '') IS NOT NULL"
OWNED = ("event_stats", "event_stats_daily", "event_stats_tickets")


def upgrade() -> None:
    op.create_table(
        "event_stats",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("sold", BIG, nullable=False),
        sa.Column("cancelled", BIG, nullable=False),
        sa.Column("checked_in", BIG, nullable=False),
        sa.Column("orders", BIG, nullable=False),
        sa.Column("gross_minor", BIG, nullable=False),
        sa.Column("refunded_minor", BIG, nullable=False),
        sa.Column("fees_minor", BIG, nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_no", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_stats"),
        sa.UniqueConstraint("event_id", "currency", name="uq_event_stats_event_id_currency"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_event_stats_tenant_id_event_id",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_event_stats_tenant_id"),
    )
    op.create_table(
        "event_stats_daily",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("sold", BIG, nullable=False),
        sa.Column("cancelled", BIG, nullable=False),
        sa.Column("gross_minor", BIG, nullable=False),
        sa.Column("refunded_minor", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_stats_daily"),
        sa.UniqueConstraint(
            "event_id", "day", "currency", name="uq_event_stats_daily_event_id_day_currency"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_event_stats_daily_tenant_id_event_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_event_stats_daily_tenant_id"
        ),
    )
    op.create_table(
        "event_stats_tickets",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("ticket_type_id", BIG, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("sold", BIG, nullable=False),
        sa.Column("cancelled", BIG, nullable=False),
        sa.Column("gross_minor", BIG, nullable=False),
        sa.Column("refunded_minor", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_stats_tickets"),
        sa.UniqueConstraint(
            "event_id",
            "ticket_type_id",
            "currency",
            name="uq_event_stats_tickets_event_id_ticket_type_id_currency",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_event_stats_tickets_tenant_id_event_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "ticket_type_id"],
            ["ticket_types.tenant_id", "ticket_types.id"],
            name="fk_event_stats_tickets_tenant_id_ticket_type_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_event_stats_tickets_tenant_id"
        ),
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
