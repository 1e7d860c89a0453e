"""The rows that were not taken, as they stood in the file, with the reasons: to mend and upload."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.exports.cells import without_command
from meet2be.imports.errors import unpacked
from meet2be.imports.fields import ATTENDEE_FIELDS, FIELDS, USER_FIELDS
from meet2be.imports.models import Import, ImportChunk, ImportRow
from meet2be.imports.queries import content_of, is_problem
from meet2be.language import Message, _, said

BOM = "\ufeff"
_SAMPLES = {
    "attendees": (
        ("name", "email", "company", "ticket", "price", "language", "notes"),
        ("Ada Lovelace", "ada@example.org", "Analytical Engines", "Regular", "399.00", "en", ""),
        ("Jürgen Müller", "juergen@example.org", "", "Speaker", "0", "de", "vegetarian"),
    ),
    "users": (
        ("name", "email", "role", "language"),
        ("Ada Lovelace", "ada@example.org", "organiser", "en"),
        ("Jürgen Müller", "juergen@example.org", "viewer", "de"),
    ),
}


def rejected_lines(
    session: Session, found: Import, *, is_of_warnings: bool = False
) -> Iterator[str]:
    """Yield the lines of a CSV file: each row's own cells, its number, and what is wrong with it.

    They are those that were not taken. Those with warnings have a file of their own: they may be
    taken already, and to import them again would double them. Memory does not grow with the list.
    Nothing in it is run by a spreadsheet as a formula.
    """
    header = [str(name) for name in found.header]
    yield BOM + _line([*header, _("Row"), _("What became of it"), _("Why")])
    chunks = session.scalars(
        select(ImportChunk).where(ImportChunk.import_id == found.id).order_by(ImportChunk.n)
    ).all()
    for chunk in chunks:
        bad = {
            row.row_no: row
            for row in session.scalars(
                select(ImportRow).where(
                    ImportRow.import_id == found.id,
                    ImportRow.chunk_no == chunk.n,
                    ImportRow.warned if is_of_warnings else is_problem(),
                )
            )
        }
        if not bad:
            continue
        for source in content_of(session, chunk):
            row = bad.get(source.number)
            if row is not None:
                cells = [*source.cells, *[""] * (len(header) - len(source.cells))][: len(header)]
                yield _line([*cells, str(source.number), row_words(row.state), reasons(row)])
        session.expunge_all()


def reasons(row: ImportRow) -> str:
    """Return all that is said about a row, in the language that is spoken now."""
    parts = []
    for error in row.errors or []:
        column, why = column_words(str(error["column"])), said(unpacked(error["why"]))
        parts.append(f"{column}: {why}" if column else why)
    return " ".join(parts)


def column_words(column: str) -> str:
    """Return a field's name as the pages call it; empty for the row as a whole."""
    words = _COLUMN_WORDS.get(column)
    return _(words) if words else ""


def row_words(state: str) -> str:
    """Return in words what became of a row."""
    return said(_ROW_WORDS[state])


def sample_lines(kind: str) -> Iterator[str]:
    """Yield the lines of a list that can be imported as it is, its names as the pages have them."""
    words = {field.key: field.words for field in FIELDS[kind]}
    yield BOM + _line([_(words[key]) for key in _SAMPLES[kind][0]])
    for row in _SAMPLES[kind][1:]:
        yield _line(row)


_COLUMN_WORDS = {field.column: field.words for field in (*ATTENDEE_FIELDS, *USER_FIELDS)}
_ROW_WORDS = {
    "valid": Message("ready"),
    "invalid": Message("cannot be taken"),
    "dup_in_file": Message("repeats another row"),
    "dup_existing": Message("is here already"),
    "created": Message("added"),
    "updated": Message("changed"),
    "skipped": Message("left out"),
    "failed": Message("failed"),
    "undone": Message("taken back"),
    "kept": Message("stays"),
}
KINDS = tuple(FIELDS)


def _line(cells: Sequence[str]) -> str:
    target = io.StringIO()
    csv.writer(target, lineterminator="\r\n").writerow([without_command(cell) for cell in cells])
    return target.getvalue()
