"""Failed jobs as tables, in a metadata of their own that an application's migrations include."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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
    delete,
    exists,
    false,
    insert,
    or_,
    select,
)

from onqueue.failed.terms import LONGEST_TERM, terms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Engine

SLICE = 1_000
"""Failed jobs that are dealt with in one step where it is about very many."""

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
    Index("ix_failed_jobs_connection", "connection", "failed_at"),
    Index("ix_failed_jobs_queue", "queue", "failed_at"),
    Index("ix_failed_jobs_job", "job", "failed_at"),
    Index("ix_failed_jobs_tenant", "tenant", "failed_at"),
    # Counts the groups and finds the newest of each without a look at the rows.
    Index("ix_failed_jobs_fingerprint", "fingerprint", "failed_at", "id"),
)

# What failed jobs are found by (`failed.terms`): each term with its jobs in the order of the list.
failed_job_terms = Table(
    "failed_job_terms",
    metadata,
    Column("job_id", String(32), primary_key=True),
    # In the order of its letters' numbers everywhere, so that a beginning is one stretch.
    Column(
        "term",
        String(LONGEST_TERM).with_variant(String(LONGEST_TERM, collation="C"), "postgresql"),
        primary_key=True,
    ),
    Column("failed_at", DateTime(timezone=True), nullable=False),
    Index("ix_failed_job_terms_term", "term", "failed_at", "job_id"),
    sqlite_with_rowid=False,
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


_job = failed_jobs.c


def create_all(engine: Engine) -> None:
    """Create the tables where they are missing: for users without migrations of their own.

    What an earlier release made is kept, and the failed jobs that are there can be searched. What
    a start that died did not get to is made good by the next one.
    """
    metadata.create_all(engine)
    for index in failed_jobs.indexes:
        index.create(engine, checkfirst=True)
    fill_terms(engine)


def fill_terms(engine: Engine) -> None:
    """Write the terms of failed jobs that have none of their newest failure, slice by slice.

    Such jobs are left by an earlier release, which records without terms. Several may do it at
    once. When there are none it is one look along an index, of a second or two for a million jobs.
    """
    # In the order of an index that has all the columns: no row of a job is read.
    places = select(_job.failed_at, _job.id).where(_has_no_terms())
    ordered = places.order_by(_job.failed_at, _job.id).limit(SLICE)
    some = ordered
    while True:
        with engine.connect() as connection:
            found = connection.execute(some).all()
        if not found:
            return
        with engine.begin() as connection:
            _fill(connection, [row.id for row in found])
        instant, last = found[-1]
        behind = or_(_job.failed_at > instant, _job.id > last)
        some = ordered.where(_job.failed_at >= instant, behind)


def _fill(connection: Connection, ids: Sequence[str]) -> None:
    # Deletes nothing, but from here on nobody else writes to SQLite. Elsewhere the rows are held
    # until their terms are there; what somebody else holds is being written or deleted right now.
    connection.execute(delete(failed_job_terms).where(false()))
    rows = connection.execute(
        select(_job.id, _job.error_type, _job.error, _job.tags, _job.failed_at)
        .where(_job.id.in_(ids), _has_no_terms())
        .with_for_update(of=failed_jobs, skip_locked=True)
    ).all()
    of_before = failed_job_terms.c.job_id.in_([row.id for row in rows])
    connection.execute(delete(failed_job_terms).where(of_before))
    write_terms(
        connection,
        [
            {"job_id": row.id, "term": term, "failed_at": row.failed_at}
            for row in rows
            for term in terms_of(row.error_type, row.error, json.loads(row.tags or "[]"))
        ],
    )


def _has_no_terms() -> ColumnElement[bool]:
    term = failed_job_terms.c
    own = select(term.term).where(term.job_id == _job.id, term.failed_at == _job.failed_at)
    return ~exists(own)


def write_terms(connection: Connection, entries: Sequence[dict[str, Any]]) -> None:
    """Insert so many entries; none is no statement."""
    if entries:
        connection.execute(insert(failed_job_terms), entries)
