"""Batches as tables, in a metadata of their own that an application's migrations include."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

metadata = MetaData()

job_batches = Table(
    "job_batches",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("connection", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("total", Integer, nullable=False),
    Column("pending", Integer, nullable=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("cancelled", Integer, nullable=False),
    Column("broken", Integer, nullable=False),
    Column("allow_failures", Boolean, nullable=False),
    # Whether a member has ever failed, and who cancelled: "", "user" or "failure".
    Column("has_failed", Boolean, nullable=False),
    Column("cause", String(16), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("cancelled_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("context", Text, nullable=False),
    Column("callbacks", Text, nullable=False),
    # The kinds of callbacks that were pushed, with commas between them.
    Column("told", String(64), nullable=False),
    # Written first in each transaction, so that those about one batch come one after the other.
    Column("touched", Integer, nullable=False),
    Index("ix_job_batches_connection", "connection", "created_at", "id"),
)

job_batch_members = Table(
    "job_batch_members",
    metadata,
    Column("batch_id", String(32), ForeignKey("job_batches.id"), primary_key=True),
    Column("member_id", String(32), primary_key=True),
    # pending, succeeded, failed, skipped (k), cancelled, broken: by their first letters.
    Column("state", String(1), nullable=False),
    # The chain the member is a link of, its place in it, and whether skipping it stops the chain.
    Column("chain_id", String(32), nullable=False),
    Column("place", Float, nullable=False),
    Column("stops", Boolean, nullable=False),
    Index("ix_job_batch_members_chain", "batch_id", "chain_id", "place"),
)


def create_all(engine: Engine) -> None:
    """Create the tables where they are missing: for users without migrations of their own."""
    metadata.create_all(engine)
