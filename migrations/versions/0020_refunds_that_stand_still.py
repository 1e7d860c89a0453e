"""An index of the few refunds outside cancel runs that are not settled: they are swept up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

NAME = "ix_refunds_lease_until_alone"
ALONE = sa.text("run_id IS NULL AND settled_at IS NULL")


def upgrade() -> None:
    op.create_index(NAME, "refunds", ["lease_until"], sqlite_where=ALONE, postgresql_where=ALONE)


def downgrade() -> None:
    op.drop_index(NAME, "refunds")
