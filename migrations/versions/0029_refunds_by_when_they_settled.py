"""Refunds of a run by when they settled: its page says how fast it goes."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

NAME = "ix_refunds_run_id_settled_at"


def upgrade() -> None:
    op.create_index(NAME, "refunds", ["run_id", "settled_at"])


def downgrade() -> None:
    op.drop_index(NAME, "refunds")
