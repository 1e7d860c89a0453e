"""Events that are taken off their public page again, and those that are put into the archive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("events", sa.Column("unpublished_at", MOMENT))
    op.add_column("events", sa.Column("archived_at", MOMENT))
    op.add_column("events", sa.Column("archived_from", sa.String(16)))


def downgrade() -> None:
    events = sa.table(
        "events",
        sa.column("status", sa.String),
        sa.column("archived_from", sa.String),
        sa.column("unpublished_at", MOMENT),
    )
    was = sa.func.coalesce(events.c.archived_from, events.c.status)
    op.execute(sa.update(events).where(events.c.archived_from.is_not(None)).values(status=was))
    for name in ("archived_from", "archived_at", "unpublished_at"):
        op.drop_column("events", name)
