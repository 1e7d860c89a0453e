"""Failed jobs as tables, in a metadata of their own that an application's migrations include."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

metadata = MetaData()

failed_jobs = Table(
    "failed_jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    # The number of its newest failure: how often the job has failed for good.
    Column("failure", Integer, nullable=False),
    Column("connection", String(64), nullable=False),
    Column("queue", String(128), nullable=False),
    Column("job", String(255), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("tenant", String(64)),
    Column("error_type", String(255), nullable=False),
    Column("error", Text, nullable=False),
    Column("traceback", Text, nullable=False),
    Column("fingerprint", String(32), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failed_at", DateTime(timezone=True), nullable=False),
    Column("state", String(16), nullable=False),
    # Under which name it is being retried; a retry that is repeated uses the same one.
    Column("retry_token", String(32)),
    # A JSON list of texts; NULL without any.
    Column("tags", Text),
    CheckConstraint("state in ('failed', 'retrying')", name="ck_failed_jobs_state"),
    Index("ix_failed_jobs_failed_at", "failed_at", "id"),
    Index("ix_failed_jobs_queue", "queue", "failed_at"),
    Index("ix_failed_jobs_job", "job", "failed_at"),
    Index("ix_failed_jobs_tenant", "tenant", "failed_at"),
    # Counts the groups and finds the newest of each without a look at the rows.
    Index("ix_failed_jobs_fingerprint", "fingerprint", "failed_at", "id"),
)

failed_job_attempts = Table(
    "failed_job_attempts",
    metadata,
    # Only ever appended to, and kept when a job is retried.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("job_id", String(32), nullable=False),
    Column("failure", Integer, nullable=False),
    Column("job", String(255), nullable=False),
    Column("tenant", String(64)),
    Column("error_type", String(255), nullable=False),
    Column("error", Text, nullable=False),
    Column("traceback", Text, nullable=False),
    Column("fingerprint", String(32), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failed_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("job_id", "failure", name="uq_failed_job_attempts_failure"),
    Index("ix_failed_job_attempts_failed_at", "failed_at"),
)

failed_job_edits = Table(
    "failed_job_edits",
    metadata,
    # Only ever appended to: what an operator changed before a retry.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("job_id", String(32), nullable=False),
    Column("before", LargeBinary, nullable=False),
    Column("after", LargeBinary, nullable=False),
    Column("edited_at", DateTime(timezone=True), nullable=False),
    Index("ix_failed_job_edits_job_id", "job_id"),
    Index("ix_failed_job_edits_edited_at", "edited_at"),
)


def create_all(engine: Engine) -> None:
    """Create the tables where they are missing: for users without migrations of their own."""
    metadata.create_all(engine)
