"""Events, ticket types, orders, invoices, payments, attendees."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("slug", sa.String(80), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("test_mode", sa.Boolean(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True)),
        sa.Column("version", BIG, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_events_tenant_id_id"),
        sa.UniqueConstraint("tenant_id", "slug", name="uq_events_tenant_id_slug"),
        sa.UniqueConstraint("uid", name="uq_events_uid"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_events_tenant_id"),
        sa.CheckConstraint(
            "status IN ('draft', 'live', 'cancelling', 'cancelled', 'archived')",
            name="ck_events_status",
        ),
    )
    op.create_index("ix_events_tenant_id_starts_at_id", "events", ["tenant_id", "starts_at", "id"])
    op.create_table(
        "ticket_types",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("price_minor", BIG, nullable=False),
        sa.Column("quota", BIG, nullable=False),
        sa.Column("held", BIG, nullable=False),
        sa.Column("sold", BIG, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_types"),
        sa.UniqueConstraint(
            "tenant_id", "event_id", "name", name="uq_ticket_types_tenant_id_event_id_name"
        ),
        sa.UniqueConstraint("tenant_id", "id", name="uq_ticket_types_tenant_id_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_ticket_types_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_ticket_types_tenant_id_event_id",
        ),
        sa.CheckConstraint("price_minor >= 0", name="ck_ticket_types_price_not_negative"),
        sa.CheckConstraint(
            "held >= 0 AND sold >= 0 AND held + sold <= quota", name="ck_ticket_types_within_quota"
        ),
    )
    op.create_table(
        "orders",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("buyer_name", sa.String(200), nullable=False),
        sa.Column("buyer_email", sa.String(320)),
        sa.Column("buyer_email_norm", sa.String(320)),
        sa.Column("locale", sa.String(16), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("total_minor", BIG, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("test_mode", sa.Boolean(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True)),
        sa.Column("cancelled_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.UniqueConstraint("tenant_id", "code", name="uq_orders_tenant_id_code"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_orders_tenant_id_id"),
        sa.UniqueConstraint("uid", name="uq_orders_uid"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_orders_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_orders_tenant_id_event_id",
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'pending', 'paid', 'cancelled', 'expired', 'failed')",
            name="ck_orders_status",
        ),
        sa.CheckConstraint("total_minor >= 0", name="ck_orders_total_not_negative"),
    )
    op.create_index(
        "ix_orders_tenant_id_event_id_status", "orders", ["tenant_id", "event_id", "status"]
    )
    op.create_table(
        "invoices",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("parent_id", BIG),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("total_minor", BIG, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pdf_key", sa.String(200)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invoices"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_invoices_tenant_id_id"),
        sa.UniqueConstraint("tenant_id", "number", name="uq_invoices_tenant_id_number"),
        sa.UniqueConstraint("uid", name="uq_invoices_uid"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_invoices_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_invoices_tenant_id_event_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name="fk_invoices_tenant_id_order_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "parent_id"],
            ["invoices.tenant_id", "invoices.id"],
            name="fk_invoices_tenant_id_parent_id",
        ),
        sa.CheckConstraint(
            "(kind = 'credit_note') = (parent_id IS NOT NULL)",
            name="ck_invoices_credit_note_has_parent",
        ),
        sa.CheckConstraint("kind IN ('invoice', 'credit_note')", name="ck_invoices_kind"),
        sa.CheckConstraint(
            "status IN ('open', 'paid', 'void', 'part_refunded', 'refunded')",
            name="ck_invoices_status",
        ),
        sa.CheckConstraint("total_minor >= 0", name="ck_invoices_total_not_negative"),
    )
    op.create_index(
        "ix_invoices_tenant_id_event_id_id", "invoices", ["tenant_id", "event_id", "id"]
    )
    op.create_index("ix_invoices_tenant_id_order_id", "invoices", ["tenant_id", "order_id"])
    op.create_index("ix_invoices_tenant_id_parent_id", "invoices", ["tenant_id", "parent_id"])
    op.create_table(
        "number_series",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("year", BIG, nullable=False),
        sa.Column("next", BIG, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "year", name="pk_number_series"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_number_series_tenant_id"),
        sa.CheckConstraint("kind IN ('invoice', 'credit_note')", name="ck_number_series_kind"),
        sa.CheckConstraint("next >= 1", name="ck_number_series_starts_at_one"),
    )
    op.create_table(
        "payments",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("invoice_id", BIG),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("provider_account", sa.String(64)),
        sa.Column("provider_ref", sa.String(128)),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("amount_minor", BIG, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("reserved_minor", BIG, nullable=False),
        sa.Column("refunded_minor", BIG, nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("test_mode", sa.Boolean(), nullable=False),
        sa.Column("key", sa.String(128)),
        sa.Column("paid_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments"),
        sa.UniqueConstraint("provider", "provider_ref", name="uq_payments_provider_provider_ref"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_payments_tenant_id_id"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_payments_tenant_id_key"),
        sa.UniqueConstraint("uid", name="uq_payments_uid"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_payments_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoices.tenant_id", "invoices.id"],
            name="fk_payments_tenant_id_invoice_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name="fk_payments_tenant_id_order_id",
        ),
        sa.CheckConstraint("amount_minor > 0", name="ck_payments_amount_positive"),
        sa.CheckConstraint(
            "reserved_minor >= 0 AND refunded_minor >= 0 AND reserved_minor + "
            "refunded_minor <= amount_minor",
            name="ck_payments_never_over_refunded",
        ),
        sa.CheckConstraint(
            "status IN ('created', 'pending', 'succeeded', 'failed', 'disputed')",
            name="ck_payments_status",
        ),
    )
    op.create_index("ix_payments_tenant_id_order_id", "payments", ["tenant_id", "order_id"])
    op.create_table(
        "attendees",
        sa.Column("id", BIG, nullable=False, autoincrement=True),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("uid", sa.String(26), nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("ticket_type_id", BIG, nullable=False),
        sa.Column("invoice_id", BIG),
        sa.Column("payment_id", BIG),
        sa.Column("ticket_code", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(320)),
        sa.Column("email_norm", sa.String(320)),
        sa.Column("company", sa.String(200)),
        sa.Column("locale", sa.String(16), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("price_minor", BIG, nullable=False),
        sa.Column("refunded_minor", BIG, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("notes", sa.Text()),
        sa.Column("registered_at", sa.DateTime(timezone=True)),
        sa.Column("cancelled_at", sa.DateTime(timezone=True)),
        sa.Column("anonymised_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attendees"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_attendees_tenant_id_id"),
        sa.UniqueConstraint("tenant_id", "ticket_code", name="uq_attendees_tenant_id_ticket_code"),
        sa.UniqueConstraint("uid", name="uq_attendees_uid"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_attendees_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["events.tenant_id", "events.id"],
            name="fk_attendees_tenant_id_event_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoices.tenant_id", "invoices.id"],
            name="fk_attendees_tenant_id_invoice_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name="fk_attendees_tenant_id_order_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name="fk_attendees_tenant_id_payment_id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "ticket_type_id"],
            ["ticket_types.tenant_id", "ticket_types.id"],
            name="fk_attendees_tenant_id_ticket_type_id",
        ),
        sa.CheckConstraint(
            "price_minor >= 0 AND refunded_minor >= 0 AND refunded_minor <= price_minor",
            name="ck_attendees_refunded_within_price",
        ),
        sa.CheckConstraint(
            "status IN ('active', 'cancelled', 'checked_in', 'transferred')",
            name="ck_attendees_status",
        ),
    )
    op.create_index(
        "ix_attendees_tenant_id_event_id_email_norm",
        "attendees",
        ["tenant_id", "event_id", "email_norm"],
    )
    op.create_index(
        "ix_attendees_tenant_id_event_id_id", "attendees", ["tenant_id", "event_id", "id"]
    )
    op.create_index(
        "ix_attendees_tenant_id_event_id_name_id",
        "attendees",
        ["tenant_id", "event_id", "name", "id"],
    )
    op.create_index("ix_attendees_tenant_id_invoice_id", "attendees", ["tenant_id", "invoice_id"])
    op.create_index("ix_attendees_tenant_id_order_id", "attendees", ["tenant_id", "order_id"])
    op.create_index("ix_attendees_tenant_id_payment_id", "attendees", ["tenant_id", "payment_id"])


def downgrade() -> None:
    op.drop_table("attendees")
    op.drop_table("payments")
    op.drop_table("number_series")
    op.drop_table("invoices")
    op.drop_table("orders")
    op.drop_table("ticket_types")
    op.drop_table("events")
