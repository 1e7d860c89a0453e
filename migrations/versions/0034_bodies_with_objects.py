"""Deliveries say whether their body bears a whole object, which spares reading 90 days of them.

How bodies were written until then stands here as it was. Of what processes of earlier releases
write meanwhile it is unknown: whoever reads one needs the right to read its object.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

TABLE = "webhook_deliveries"
COLUMN = "has_object"
INDEX = "ix_webhook_deliveries_with_object"
A_TIME = 1_000
LOOKS_SO = '%"object":{%'


def upgrade() -> None:
    column: sa.Column[bool] = sa.Column(COLUMN, sa.Boolean(), nullable=True)
    op.add_column(TABLE, column)
    op.execute(sa.update(sa.table(TABLE, sa.column(COLUMN))).values({COLUMN: sa.false()}))
    fill(op.get_bind())
    op.create_index(
        INDEX, TABLE, ["tenant_id", "status", "endpoint_id", "type", "created_at"],
        sqlite_where=sa.text(f"{COLUMN} IS NOT 0"),
        postgresql_where=sa.text(f"{COLUMN} IS NOT false"),
    )  # fmt: skip


def fill(connection: sa.Connection) -> None:
    """Mark the deliveries that are there and bear an object, some at a time."""
    number = sa.column("id", sa.BigInteger)
    body, mark = sa.column("body", sa.Text), sa.column(COLUMN, sa.Boolean)
    deliveries = sa.table(TABLE, number, body, mark)
    last = 0
    while True:
        rows = connection.execute(
            sa.select(deliveries.c.id, deliveries.c.body)
            .where(deliveries.c.id > last, deliveries.c.body.like(LOOKS_SO))
            .order_by(deliveries.c.id)
            .limit(A_TIME)
        ).all()
        if not rows:
            return
        found = [row.id for row in rows if bears_object(row.body)]
        if found:
            connection.execute(
                sa.update(deliveries).where(deliveries.c.id.in_(found)).values(has_object=True)
            )
        last = rows[-1].id


def bears_object(body: str) -> bool:
    try:
        told = json.loads(body)
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("object") is not None


def downgrade() -> None:
    op.drop_index(INDEX, TABLE)
    op.drop_column(TABLE, COLUMN)
