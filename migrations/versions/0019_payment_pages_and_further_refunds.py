"""The provider's payment pages, when a payment is looked up, refunds that follow others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("payments", sa.Column("page_ref", sa.String(255)))
    op.add_column("payments", sa.Column("look_at", sa.DateTime(timezone=True)))
    op.create_index(
        "uq_payments_provider_page_ref", "payments", ["provider", "page_ref"], unique=True
    )
    op.create_index("ix_payments_look_at", "payments", ["look_at"])
    op.add_column("refunds", sa.Column("replaces_id", BIG))
    op.add_column("orders", sa.Column("placed_from", sa.String(64)))
    op.create_index("ix_orders_tenant_id_placed_from", "orders", ["tenant_id", "placed_from"])


def downgrade() -> None:
    op.drop_index("ix_orders_tenant_id_placed_from", "orders")
    op.drop_column("orders", "placed_from")
    op.drop_column("refunds", "replaces_id")
    op.drop_index("ix_payments_look_at", "payments")
    op.drop_index("uq_payments_provider_page_ref", "payments")
    op.drop_column("payments", "look_at")
    op.drop_column("payments", "page_ref")
