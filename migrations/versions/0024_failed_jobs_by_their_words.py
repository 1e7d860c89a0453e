"""Failed jobs by their tags, by words of their errors and by connection, each over an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from onqueue.failed.tables import fill_terms

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TERM = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_index("ix_failed_jobs_connection", "failed_jobs", ["connection", "failed_at"])
    op.create_table(
        "failed_job_terms",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("term", TERM, nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "term"),
        sqlite_with_rowid=False,
    )
    # What a term is, is the queue's to say: the store looks for what its own release wrote.
    fill_terms(op.get_bind())
    # Made of what is there, an index takes a fraction of what it takes row by row.
    op.create_index("ix_failed_job_terms_term", "failed_job_terms", ["term", "failed_at", "job_id"])


def downgrade() -> None:
    op.drop_table("failed_job_terms")
    op.drop_index("ix_failed_jobs_connection", "failed_jobs")
