"""The outbox as a table, in a metadata of its own that an application's migrations include."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

metadata = MetaData()

job_outbox = Table(
    "job_outbox",
    metadata,
    # Rows of one transaction share their instant: only a number keeps the order of dispatch.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("connection", String(64), nullable=False),
    Column("queue", String(128), nullable=False),
    Column("job", String(255), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("tenant", String(64)),
    Column("available_at", DateTime(timezone=True), nullable=False),
    Column("state", String(16), nullable=False),
    Column("durable", Boolean, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("dispatched_at", DateTime(timezone=True)),
    Column("done_at", DateTime(timezone=True)),
    Column("pushes", Integer, nullable=False, server_default="0"),
    # Who is pushing the row just now, and until when nobody else should.
    Column("claim", String(32)),
    Column("claimed_until", DateTime(timezone=True)),
    CheckConstraint(
        "state in ('pending', 'dispatched', 'done', 'failed')", name="ck_job_outbox_state"
    ),
    Index("ix_job_outbox_state_seq", "state", "seq"),
    Index("ix_job_outbox_state_done_at", "state", "done_at"),
)


def create_all(engine: Engine) -> None:
    """Create the table where it is missing: for users without migrations of their own."""
    metadata.create_all(engine)
