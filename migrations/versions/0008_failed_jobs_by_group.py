"""Failed jobs by tag, job, tenant and group; what operators changed before a retry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("failed_jobs", sa.Column("tags", sa.Text()))
    op.create_index("ix_failed_jobs_job", "failed_jobs", ["job", "failed_at"])
    op.create_index("ix_failed_jobs_tenant", "failed_jobs", ["tenant", "failed_at"])
    op.drop_index("ix_failed_jobs_fingerprint", "failed_jobs")
    op.create_index("ix_failed_jobs_fingerprint", "failed_jobs", ["fingerprint", "failed_at", "id"])
    op.create_table(
        "failed_job_edits",
        sa.Column("number", BIG, nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=False),
        sa.Column("after", sa.LargeBinary(), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_failed_job_edits_job_id", "failed_job_edits", ["job_id"])
    op.create_index("ix_failed_job_edits_edited_at", "failed_job_edits", ["edited_at"])


def downgrade() -> None:
    op.drop_table("failed_job_edits")
    op.drop_index("ix_failed_jobs_fingerprint", "failed_jobs")
    op.create_index("ix_failed_jobs_fingerprint", "failed_jobs", ["fingerprint"])
    op.drop_index("ix_failed_jobs_tenant", "failed_jobs")
    op.drop_index("ix_failed_jobs_job", "failed_jobs")
    op.drop_column("failed_jobs", "tags")
