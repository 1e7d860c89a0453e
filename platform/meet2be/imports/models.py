"""Tables of imports: the list, its chunks, what became of each row, and mappings to remember."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import (
    Base,
    Named,
    Numbered,
    Stamped,
    TenantOwned,
    belongs_to,
    parent_key,
)
from meet2be.db.columns import Document, one_of

KINDS = ("attendees", "users")
FORMATS = ("csv", "xlsx")
STATES = (
    "uploaded", "mapped", "validating", "validated", "running", "cancelling", "cancelled", "done",
    "done_with_errors", "failed", "undoing", "undone",
)  # fmt: skip
CHUNK_STATES = ("read", "checked", "done", "failed", "undone")
ROW_STATES = (
    "valid", "invalid", "dup_in_file", "dup_existing", "created", "updated", "skipped", "failed",
    "undone", "kept",
)  # fmt: skip
PROBLEMS = ("invalid", "dup_in_file", "dup_existing", "skipped", "failed", "kept")
"""States of rows that somebody may want to look at."""
_WRITTEN = text("state IN ('created', 'updated') AND claim IS NOT NULL")
_PROBLEM = text("state IN ('invalid', 'dup_in_file', 'dup_existing', 'skipped', 'failed', 'kept')")


class Import(Numbered, Named, TenantOwned, Stamped, Base):
    """A list that somebody uploaded, and how far it has come.

    `layout` says how the file is read, `header` what its columns are called, `mapping` which field
    comes from which column. `error` and the errors of rows are messages: a sentence and its values,
    put into words for whoever reads them. `undo_until` ends the time in which it can be undone.
    """

    __tablename__ = "imports"
    __table_args__ = (
        belongs_to("events", "event_id"),
        parent_key(),
        Index(None, "tenant_id", "sha256"),
        Index(None, "tenant_id", "kind", "id"),
        Index(None, "state", "updated_at"),
    )

    kind: Mapped[str] = mapped_column(one_of("kind", KINDS))
    event_id: Mapped[int | None]
    uploaded_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    filename: Mapped[str] = mapped_column(String(200))
    storage_key: Mapped[str | None] = mapped_column(String(300))
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    format: Mapped[str] = mapped_column(one_of("format", FORMATS))
    layout: Mapped[Document] = mapped_column(default=dict)
    header: Mapped[list[Any]] = mapped_column(default=list)
    mapping: Mapped[Document] = mapped_column(default=dict)
    options: Mapped[Document] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(one_of("state", STATES), default="uploaded")
    batch_id: Mapped[str | None] = mapped_column(String(64))
    turn: Mapped[int] = mapped_column(default=0)
    rows_total: Mapped[int] = mapped_column(default=0)
    rows_read: Mapped[int] = mapped_column(default=0)
    chunk_size: Mapped[int] = mapped_column(default=0)
    error: Mapped[Document | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    undo_until: Mapped[datetime | None]


class ImportChunk(TenantOwned, Stamped, Base):
    """Some hundred rows that are checked, written and undone together, in one commit each.

    `content` holds the rows' cells as they stand in the file, compressed. `counts` are the states
    of its rows, written in the commit that changes them. `raised` says, by the number of each kind
    of ticket, by how much its writing raised the quota: an undo lowers it by as much.
    """

    __tablename__ = "import_chunks"
    __table_args__ = (belongs_to("imports", "import_id"),)

    import_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_row: Mapped[int]
    last_row: Mapped[int]
    rows: Mapped[int]
    content: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    state: Mapped[str] = mapped_column(one_of("state", CHUNK_STATES), default="read")
    counts: Mapped[Document] = mapped_column(default=dict)
    raised: Mapped[Document | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[Document | None]


class ImportRow(TenantOwned, Base):
    """What is to become, or has become, of one row; `row_no` counts as a spreadsheet does.

    `claim` says who the row is about: one claim is written once in an import. `entity_id` is the
    attendee or membership, `entity_at` its `updated_at` when this import wrote it, `before` what
    it replaced. `repeats` is the earlier row that says the same. `warned` rows hold something that
    could not be read or used, and may have been taken without it.
    """

    __tablename__ = "import_rows"
    __table_args__ = (
        belongs_to("imports", "import_id"),
        Index(
            "uq_import_rows_claim", "import_id", "claim", unique=True,
            sqlite_where=_WRITTEN, postgresql_where=_WRITTEN,
        ),
        Index(
            "ix_import_rows_problem", "import_id", "row_no",
            sqlite_where=_PROBLEM, postgresql_where=_PROBLEM,
        ),
        Index(
            "ix_import_rows_warned", "import_id", "row_no",
            sqlite_where=text("warned"), postgresql_where=text("warned"),
        ),
        Index(None, "import_id", "chunk_no"),
    )  # fmt: skip

    import_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    row_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chunk_no: Mapped[int]
    state: Mapped[str] = mapped_column(one_of("state", ROW_STATES))
    label: Mapped[str] = mapped_column(String(200))
    claim: Mapped[str | None] = mapped_column(String(32))
    repeats: Mapped[int | None]
    errors: Mapped[list[Any] | None]
    entity_id: Mapped[int | None]
    entity_at: Mapped[datetime | None]
    before: Mapped[Document | None]
    warned: Mapped[bool] = mapped_column(default=False, server_default=false())


class ImportMapping(Numbered, TenantOwned, Stamped, Base):
    """Which columns a list with this header was mapped to the last time."""

    __tablename__ = "import_mappings"
    __table_args__ = (UniqueConstraint("tenant_id", "kind", "header_hash"),)

    kind: Mapped[str] = mapped_column(one_of("kind", KINDS))
    header_hash: Mapped[str] = mapped_column(String(64))
    mapping: Mapped[Document]
