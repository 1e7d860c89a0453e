"""The queue's outbox and its failed jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the key is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "job_outbox",
        sa.Column("seq", BIG, nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("connection", sa.String(64), nullable=False),
        sa.Column("queue", sa.String(128), nullable=False),
        sa.Column("job", sa.String(255), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("tenant", sa.String(64)),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("durable", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dispatched_at", sa.DateTime(timezone=True)),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("pushes", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("claim", sa.String(32)),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sa.CheckConstraint(
            "state in ('pending', 'dispatched', 'done', 'failed')", name="ck_job_outbox_state"
        ),
    )
    op.create_index("ix_job_outbox_state_done_at", "job_outbox", ["state", "done_at"])
    op.create_index("ix_job_outbox_state_seq", "job_outbox", ["state", "seq"])
    op.create_table(
        "failed_jobs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("failure", sa.Integer(), nullable=False),
        sa.Column("connection", sa.String(64), nullable=False),
        sa.Column("queue", sa.String(128), nullable=False),
        sa.Column("job", sa.String(255), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("tenant", sa.String(64)),
        sa.Column("error_type", sa.String(255), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("traceback", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("retry_token", sa.String(32)),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("state in ('failed', 'retrying')", name="ck_failed_jobs_state"),
    )
    op.create_index("ix_failed_jobs_failed_at", "failed_jobs", ["failed_at", "id"])
    op.create_index("ix_failed_jobs_fingerprint", "failed_jobs", ["fingerprint"])
    op.create_index("ix_failed_jobs_queue", "failed_jobs", ["queue", "failed_at"])
    op.create_table(
        "failed_job_attempts",
        sa.Column("number", BIG, nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("failure", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(255), nullable=False),
        sa.Column("tenant", sa.String(64)),
        sa.Column("error_type", sa.String(255), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("traceback", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("job_id", "failure", name="uq_failed_job_attempts_failure"),
    )
    op.create_index("ix_failed_job_attempts_failed_at", "failed_job_attempts", ["failed_at"])


def downgrade() -> None:
    op.drop_table("failed_job_attempts")
    op.drop_table("failed_jobs")
    op.drop_table("job_outbox")
