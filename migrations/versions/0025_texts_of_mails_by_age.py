"""Mails that still have their texts by age: those are looked through for what is to be erased."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

OLD, SECRET = "ix_mails_created_at_text", "ix_mails_created_at_secret"
TEXTS = sa.text("body_text IS NOT NULL")


def upgrade() -> None:
    op.create_index(OLD, "mails", ["created_at"], sqlite_where=TEXTS, postgresql_where=TEXTS)
    op.create_index(
        SECRET,
        "mails",
        ["created_at"],
        sqlite_where=sa.text("body_text IS NOT NULL AND sensitive = 1"),
        postgresql_where=sa.text("body_text IS NOT NULL AND sensitive"),
    )


def downgrade() -> None:
    op.drop_index(SECRET, "mails")
    op.drop_index(OLD, "mails")
