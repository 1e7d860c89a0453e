"""Statements on imports that several steps share; rows and chunks in bulk, past the ORM."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from meet2be.imports.errors import packed, unpacked
from meet2be.imports.models import PROBLEMS, Import, ImportChunk, ImportRow
from meet2be.imports.outcomes import Outcome, SourceRow

ROWS: Final = cast("Table", ImportRow.__table__)
CHUNKS: Final = cast("Table", ImportChunk.__table__)
UPDATES: Final = "update"
"""Among the counts of a checked chunk: valid rows that change somebody who is there."""
WARNED: Final = "warned"
"""Among the counts of a chunk: rows with something that could not be read, whatever their state."""
UPDATE_ROW: Final = update(ROWS).where(
    ROWS.c.tenant_id == bindparam("of_tenant"),
    ROWS.c.import_id == bindparam("of_import"),
    ROWS.c.row_no == bindparam("of_row"),
)
_INSERT: Final = insert(ROWS)
_UPDATE: Final = UPDATE_ROW.values(
    state=bindparam("state"),
    errors=bindparam("errors"),
    repeats=bindparam("repeats"),
    entity_id=bindparam("entity_id"),
    entity_at=bindparam("entity_at"),
    before=bindparam("before"),
    warned=bindparam("warned"),
)
_COUNT: Final = (
    update(CHUNKS)
    .where(
        CHUNKS.c.tenant_id == bindparam("of_tenant"),
        CHUNKS.c.import_id == bindparam("of_import"),
        CHUNKS.c.n == bindparam("of_chunk"),
    )
    .values(counts=bindparam("counted"))
)


def is_problem() -> ColumnElement[bool]:
    """Return the condition that a row needs to be looked at.

    Its values are written out, so that both databases see the index that is for such rows.
    """
    states: BindParameter[Any] = bindparam(
        "problems", PROBLEMS, expanding=True, literal_execute=True
    )
    return ImportRow.state.in_(states)


def find_import(session: Session, uid: str) -> Import | None:
    """Return the tenant's import of that name."""
    return session.scalar(select(Import).where(Import.uid == uid))


def pack_rows(rows: Iterable[SourceRow]) -> bytes:
    """Return rows as a chunk keeps them."""
    listed = [
        [row.number, row.cells, None if row.problem is None else packed(row.problem)]
        for row in rows
    ]
    return zlib.compress(json.dumps(listed, ensure_ascii=False).encode("utf-8", "replace"), 1)


def unpack_rows(content: bytes) -> list[SourceRow]:
    """Return the rows of a chunk."""
    return [
        SourceRow(number, tuple(cells), None if problem is None else unpacked(problem))
        for number, cells, problem in json.loads(zlib.decompress(content))
    ]


def content_of(session: Session, chunk: ImportChunk) -> list[SourceRow]:
    """Return the rows of a chunk as they stand in the file."""
    content = session.scalar(
        select(ImportChunk.content).where(
            ImportChunk.import_id == chunk.import_id, ImportChunk.n == chunk.n
        )
    )
    return [] if content is None else unpack_rows(content)


def insert_outcomes(session: Session, chunk: ImportChunk, outcomes: Sequence[Outcome]) -> None:
    """Write the rows of a chunk that is checked, in the place of what stood there."""
    connection = session.connection()
    connection.execute(
        delete(ROWS).where(
            ROWS.c.tenant_id == chunk.tenant_id,
            ROWS.c.import_id == chunk.import_id,
            ROWS.c.chunk_no == chunk.n,
        )
    )
    owner: dict[str, object] = {
        "tenant_id": chunk.tenant_id,
        "import_id": chunk.import_id,
        "chunk_no": chunk.n,
    }
    connection.execute(
        _INSERT,
        [
            owner
            | {
                "row_no": outcome.row_no,
                "state": outcome.state,
                "label": outcome.label,
                "claim": outcome.claim,
                "repeats": outcome.repeats,
                "errors": outcome.errors or None,
                "entity_id": outcome.entity_id,
                "entity_at": None,
                "before": None,
                "warned": outcome.warned,
            }
            for outcome in outcomes
        ],
    )


def update_outcomes(session: Session, chunk: ImportChunk, outcomes: Sequence[Outcome]) -> None:
    """Write what became of rows."""
    if not outcomes:
        return
    session.connection().execute(
        _UPDATE,
        [
            {
                "of_tenant": chunk.tenant_id,
                "of_import": chunk.import_id,
                "of_row": outcome.row_no,
                "state": outcome.state,
                "errors": outcome.errors or None,
                "repeats": outcome.repeats,
                "entity_id": outcome.entity_id,
                "entity_at": outcome.entity_at,
                "before": outcome.before,
                "warned": outcome.warned,
            }
            for outcome in outcomes
        ],
    )


def count_rows(session: Session, import_id: int, chunks: Sequence[int]) -> dict[int, Counter[str]]:
    """Return how many rows of each chunk are in which state."""
    found = session.execute(
        select(
            ImportRow.chunk_no,
            ImportRow.state,
            func.count(),
            func.count(ImportRow.entity_id),
            func.sum(case((ImportRow.warned, 1), else_=0)),
        )
        .where(ImportRow.import_id == import_id, ImportRow.chunk_no.in_(chunks))
        .group_by(ImportRow.chunk_no, ImportRow.state)
    )
    counts: dict[int, Counter[str]] = {number: Counter() for number in chunks}
    for number, state, rows, known, warned in found:
        changing = known if state == "valid" else 0
        counts[number][UPDATES] += changing
        counts[number][state] += rows - changing
        counts[number][WARNED] += int(warned)
    return {number: +count for number, count in counts.items()}


def recount(session: Session, found: Import, chunks: Sequence[int]) -> None:
    """Write the counts of chunks whose rows were changed past them."""
    session.connection().execute(
        _COUNT,
        [
            {
                "of_tenant": found.tenant_id,
                "of_import": found.id,
                "of_chunk": number,
                "counted": dict(counts),
            }
            for number, counts in count_rows(session, found.id, chunks).items()
        ],
    )


def totals(session: Session, import_id: int) -> tuple[Counter[str], Counter[str], int]:
    """Return an import's rows by state, its chunks by state, and its chunks' rows."""
    rows: Counter[str] = Counter()
    chunks: Counter[str] = Counter()
    number = 0
    found = session.execute(
        select(ImportChunk.state, ImportChunk.counts, ImportChunk.rows).where(
            ImportChunk.import_id == import_id
        )
    )
    for state, counts, held in found:
        chunks[state] += 1
        number += held
        rows.update(cast("Mapping[str, int]", counts))
    return rows, chunks, number


def remembered(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a mapping as JSON gave it back."""
    return {key: dict(given) for key, given in document.items()}
