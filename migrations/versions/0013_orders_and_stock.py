"""What the checkout adds to orders, their lines, stock moves, steps and parcels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "nullif(current_setting('app.tenant', true), '')::bigint"
SYSTEM = "nullif(current_setting('app.system', true), '') IS NOT NULL"
OWNED = ("order_lines", "stock_moves", "order_steps", "shipments")
ORDER_COLUMNS = (
    ("client_key", sa.String(64)),
    ("buyer_key", sa.String(64)),
    ("expires_at", sa.DateTime(timezone=True)),
    ("shipping_minor", BIG),
    ("shipping_address", JSON),
    ("payment_method", sa.String(255)),
    ("problem", sa.String(128)),
)
ORDER_INDEXES = (
    ("ix_orders_tenant_id_buyer_email_norm", ("tenant_id", "buyer_email_norm"), False),
    ("ix_orders_status_expires_at", ("status", "expires_at"), False),
    ("uq_orders_client_key", ("tenant_id", "client_key"), True),
    ("uq_orders_buyer_key", ("buyer_key",), True),
)


def upgrade() -> None:
    op.add_column(
        "ticket_types",
        sa.Column("is_shipped", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    for name, kind in ORDER_COLUMNS:
        op.add_column("orders", sa.Column(name, kind))
    for name, columns, unique in ORDER_INDEXES:
        op.create_index(name, "orders", list(columns), unique=unique)
    op.create_table(
        "order_lines",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("ticket_type_id", BIG, nullable=False),
        sa.Column("quantity", BIG, nullable=False),
        sa.Column("unit_minor", BIG, nullable=False),
        sa.Column("fee_minor", BIG, nullable=False),
        sa.Column("tax_minor", BIG, nullable=False),
        sa.Column("total_minor", BIG, nullable=False),
        sa.Column("holders", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_order_lines"),
        sa.UniqueConstraint(
            "order_id", "ticket_type_id", name="uq_order_lines_order_id_ticket_type_id"
        ),
        sa.UniqueConstraint("tenant_id", "id", name="uq_order_lines_tenant_id_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name="fk_order_lines_tenant_id_order_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "ticket_type_id"],
            ["ticket_types.tenant_id", "ticket_types.id"],
            name="fk_order_lines_tenant_id_ticket_type_id",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_order_lines_tenant_id"),
        sa.CheckConstraint("quantity > 0", name="ck_order_lines_quantity_positive"),
        sa.CheckConstraint(
            "unit_minor >= 0 AND total_minor >= 0", name="ck_order_lines_money_not_negative"
        ),
    )
    op.create_table(
        "stock_moves",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("ticket_type_id", BIG, nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("quantity", BIG, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stock_moves"),
        sa.UniqueConstraint(
            "order_id", "ticket_type_id", "kind", name="uq_stock_moves_order_id_ticket_type_id_kind"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name="fk_stock_moves_tenant_id_order_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "ticket_type_id"],
            ["ticket_types.tenant_id", "ticket_types.id"],
            name="fk_stock_moves_tenant_id_ticket_type_id",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_stock_moves_tenant_id"),
        sa.CheckConstraint(
            "kind IN ('hold', 'commit', 'release', 'return')", name="ck_stock_moves_kind"
        ),
        sa.CheckConstraint("quantity > 0", name="ck_stock_moves_quantity_positive"),
    )
    op.create_table(
        "order_steps",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("step", sa.String(24), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("attempts", BIG, nullable=False),
        sa.Column("key", sa.String(160), nullable=False),
        sa.Column("result", JSON, nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_order_steps"),
        sa.UniqueConstraint("key", name="uq_order_steps_key"),
        sa.UniqueConstraint("order_id", "step", name="uq_order_steps_order_id_step"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name="fk_order_steps_tenant_id_order_id",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_order_steps_tenant_id"),
        sa.CheckConstraint("attempts >= 0", name="ck_order_steps_attempts_not_negative"),
        sa.CheckConstraint(
            "state IN ('todo', 'doing', 'waiting', 'done', 'failed', 'compensated', 'dropped')",
            name="ck_order_steps_state",
        ),
        sa.CheckConstraint(
            "step IN ('validate_order', 'process_payment', 'update_inventory', "
            "'calculate_shipping', 'create_shipping_label', "
            "'send_confirmation', 'notify_warehouse')",
            name="ck_order_steps_step",
        ),
    )
    op.create_index("ix_order_steps_state_updated_at", "order_steps", ["state", "updated_at"])
    op.create_table(
        "shipments",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("carrier", sa.String(32), nullable=False),
        sa.Column("parcel_no", sa.String(64), nullable=False),
        sa.Column("cost_minor", BIG, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("label", JSON, nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shipments"),
        sa.UniqueConstraint("order_id", name="uq_shipments_order_id"),
        sa.UniqueConstraint(
            "tenant_id", "carrier", "parcel_no", name="uq_shipments_tenant_id_carrier_parcel_no"
        ),
        sa.UniqueConstraint("uid", name="uq_shipments_uid"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name="fk_shipments_tenant_id_order_id",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_shipments_tenant_id"),
        sa.CheckConstraint("cost_minor >= 0", name="ck_shipments_cost_not_negative"),
        sa.CheckConstraint("status IN ('labelled', 'void')", name="ck_shipments_status"),
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
    for name, _columns, _unique in ORDER_INDEXES:
        op.drop_index(name, "orders")
    for name, _kind in reversed(ORDER_COLUMNS):
        op.drop_column("orders", name)
    op.drop_column("ticket_types", "is_shipped")
