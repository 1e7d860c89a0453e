"""What organisers say of events and kinds of tickets, and operators of providers' messages."""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
COLUMNS: tuple[tuple[str, str, sa.types.TypeEngine[Any]], ...] = (
    ("events", "description", sa.Text()),
    ("events", "place", sa.String(200)),
    ("events", "capacity", BIG),
    ("events", "on_sale_from", MOMENT),
    ("events", "on_sale_until", MOMENT),
    ("ticket_types", "uid", sa.String(26)),
    ("ticket_types", "on_sale_from", MOMENT),
    ("ticket_types", "on_sale_until", MOMENT),
    ("ticket_types", "closed_at", MOMENT),
    ("provider_events", "seen_at", MOMENT),
    ("provider_events", "note", sa.Text()),
)


def upgrade() -> None:
    for table, name, kind in COLUMNS:
        op.add_column(table, sa.Column(name, kind))
    for name in ("tax_bp", "position"):
        column = sa.Column(name, BIG, server_default=sa.text("0"), nullable=False)
        op.add_column("ticket_types", column)
    op.add_column(
        "ticket_types",
        sa.Column("is_hidden", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    name_all_kinds()
    op.create_index("uq_ticket_types_uid", "ticket_types", ["uid"], unique=True)
    op.create_index("ix_provider_events_result_id", "provider_events", ["result", "id"])


def name_all_kinds() -> None:
    """Give each kind of ticket a public name, as events and orders have one: 26 signs."""
    kinds = sa.table("ticket_types", sa.column("id"), sa.column("uid"))
    for number in op.get_bind().execute(sa.select(kinds.c.id)).scalars().all():
        op.execute(sa.update(kinds).where(kinds.c.id == number).values(uid=secrets.token_hex(13)))


def downgrade() -> None:
    op.drop_index("ix_provider_events_result_id", "provider_events")
    op.drop_index("uq_ticket_types_uid", "ticket_types")
    for name in ("is_hidden", "position", "tax_bp"):
        op.drop_column("ticket_types", name)
    for table, name, _kind in reversed(COLUMNS):
        op.drop_column(table, name)
