"""Which rows of imports hold something that could not be read: they are to be looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

NAME = "ix_import_rows_warned"
WARNED = sa.text("warned")


def upgrade() -> None:
    column: sa.Column[bool] = sa.Column(
        "warned", sa.Boolean(), server_default=sa.false(), nullable=False
    )
    op.add_column("import_rows", column)
    op.create_index(
        NAME,
        "import_rows",
        ["import_id", "row_no"],
        sqlite_where=WARNED,
        postgresql_where=WARNED,
    )


def downgrade() -> None:
    op.drop_index(NAME, "import_rows")
    op.drop_column("import_rows", "warned")
