"""Regular exports rest while their event is in the archive, and go on afterwards.

Those of events that are there already are paused, as if the event had just been put away.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

SCHEDULES = sa.table(
    "export_schedules",
    sa.column("tenant_id", sa.BigInteger()),
    sa.column("event_id", sa.BigInteger()),
    sa.column("enabled", sa.Boolean()),
    sa.column("next_at", sa.DateTime(timezone=True)),
    sa.column("rests_with_event", sa.Boolean()),
)
EVENTS = sa.table(
    "events",
    sa.column("tenant_id", sa.BigInteger()),
    sa.column("id", sa.BigInteger()),
    sa.column("status", sa.String()),
)


def upgrade() -> None:
    op.add_column(
        "export_schedules",
        sa.Column("rests_with_event", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    archived = sa.select(EVENTS.c.id).where(
        EVENTS.c.status == "archived", EVENTS.c.tenant_id == SCHEDULES.c.tenant_id
    )
    op.execute(
        sa.update(SCHEDULES)
        .where(SCHEDULES.c.enabled, SCHEDULES.c.event_id.in_(archived))
        .values(enabled=False, next_at=None, rests_with_event=True)
    )


def downgrade() -> None:
    op.execute(
        sa.update(SCHEDULES)
        .where(SCHEDULES.c.rests_with_event)
        .values(enabled=True, next_at=sa.func.current_timestamp())
    )
    op.drop_column("export_schedules", "rests_with_event")
