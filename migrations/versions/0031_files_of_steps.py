"""Steps of orders whose results name files: however old they are, these few are found at once.

There is no 0030.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0031"
down_revision = "0029"
branch_labels = None
depends_on = None

NAME = "ix_order_steps_files"
SQLITE = (
    "(json_extract(result, '$.printed') IS NOT NULL OR json_extract(result, '$.going') IS NOT NULL)"
)
POSTGRESQL = "((result ->> 'printed') IS NOT NULL OR (result ->> 'going') IS NOT NULL)"


def upgrade() -> None:
    op.create_index(
        NAME, "order_steps", ["id"], sqlite_where=text(SQLITE), postgresql_where=text(POSTGRESQL)
    )


def downgrade() -> None:
    op.drop_index(NAME, "order_steps")
