"""Endpoints that are signed for with a key pair as well, and those that are sent whole objects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SWITCHES = ("signs_ed25519", "full_data")


def upgrade() -> None:
    for name in SWITCHES:
        column: sa.Column[bool] = sa.Column(
            name, sa.Boolean(), server_default=sa.false(), nullable=False
        )
        op.add_column("webhook_endpoints", column)
    op.add_column("webhook_secrets", sa.Column("public_key", sa.String(64)))


def downgrade() -> None:
    keys = sa.table("webhook_secrets", sa.column("public_key"))
    op.execute(sa.delete(keys).where(keys.c.public_key.is_not(None)))
    op.drop_column("webhook_secrets", "public_key")
    for name in reversed(SWITCHES):
        op.drop_column("webhook_endpoints", name)
