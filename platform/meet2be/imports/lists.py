"""Bringing a list from its file into chunks: streamed, with memory for some hundred rows.

Rows that belong to one order come into the same chunk, however far apart they lie: an order is
taken whole or not at all. A reading that was killed begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import delete, insert

from meet2be import facts
from meet2be.attendees.csv_rows import misfit
from meet2be.attendees.staging import staging
from meet2be.imports.desk import ImportDesk
from meet2be.imports.detection import Layout
from meet2be.imports.errors import ImportStopped, UnreadableUpload
from meet2be.imports.facts import StepWanted
from meet2be.imports.limits import CHUNK_ROWS
from meet2be.imports.models import Import
from meet2be.imports.outcomes import SourceRow
from meet2be.imports.preparing import rows_of
from meet2be.imports.queries import CHUNKS, ROWS, find_import, pack_rows
from meet2be.imports.tables import Source, Table, opened_table
from meet2be.imports.workbook.reader import WorkbookReader
from meet2be.integrations.storage import ObjectMissing
from meet2be.language import Message

CHUNKS_A_COMMIT = 20
ROWS_A_LOOK = 10_000


def read_list(
    desk: ImportDesk, tenant_id: int, uid: str, turn: int, go_on: Callable[[], None]
) -> bool:
    """Read the import's file into chunks; False when it has moved on and nothing is to be done.

    ``go_on`` is asked now and then and raises when this worker is to stop. Raises ImportStopped
    with the reason when the list cannot be taken.
    """
    work = _Reading(desk, tenant_id, uid, turn, go_on)
    source, layout = work.begin()
    if source is None:
        return False
    try:
        with WorkbookReader() as reader, opened_table(source, layout, reader) as table:
            for rows in work.chunks(table):
                work.keep(rows)
    except UnreadableUpload as error:
        raise ImportStopped(error.why) from error
    except ObjectMissing as error:
        raise ImportStopped(
            Message("The uploaded file is not there any more. Upload it again.")
        ) from error
    work.end()
    return True


class _Reading:
    """One reading of one file."""

    def __init__(
        self, desk: ImportDesk, tenant_id: int, uid: str, turn: int, go_on: Callable[[], None]
    ) -> None:
        self._desk, self._tenant_id, self._uid, self._turn = desk, tenant_id, uid, turn
        self._go_on = go_on
        self._import_id = 0
        self._waiting: list[dict[str, Any]] = []
        self._number = 0
        self._rows = 0

    def begin(self) -> tuple[Source | None, Layout]:
        """Clear away what an earlier reading left, and return where the list lies."""
        with self._desk.database.tenant_session(self._tenant_id) as session:
            found = find_import(session, self._uid)
            if found is None or found.turn != self._turn or found.state != "validating":
                return None, Layout()
            if found.rows_total:  # read to its end: the chunks may be at work already
                return None, Layout()
            self._import_id = found.id
            self._rules = rows_of(session, found)
            self._has_orders = "order" in found.mapping
            connection = session.connection()
            for table in (ROWS, CHUNKS):
                connection.execute(
                    delete(table).where(
                        table.c.tenant_id == self._tenant_id, table.c.import_id == found.id
                    )
                )
            found.rows_read = found.rows_total = 0
            session.commit()
            if found.storage_key is None:
                raise ImportStopped(
                    Message("The uploaded file is not there any more. Upload it again.")
                )
            source = Source(self._desk.store, found.storage_key, found.format, found.filename)
            return source, Layout.from_json(found.layout)

    def chunks(self, table: Table) -> Iterator[list[SourceRow]]:
        """Yield the rows, some hundred at a time, those of an order together."""
        if not table.header:
            raise UnreadableUpload(Message("There is nothing in this list."))
        rows = self._sourced(table)
        chunk: list[SourceRow] = []
        for together in self._together(rows):
            chunk += together
            if len(chunk) >= CHUNK_ROWS:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _sourced(self, table: Table) -> Iterator[SourceRow]:
        width = len(table.header)
        for count, (number, cells) in enumerate(table.rows, start=1):
            if count % ROWS_A_LOOK == 0:
                self._go_on()
            yield _fitted(number, cells, width)

    def _together(self, rows: Iterator[SourceRow]) -> Iterator[Sequence[SourceRow]]:
        """Yield rows that cannot be parted; those of a list without orders come one by one."""
        first = next(rows, None)
        if first is None:
            raise UnreadableUpload(Message("There are no rows below the columns' names."))
        if not self._has_orders:
            yield (first,)
            for row in rows:
                yield (row,)
            return
        with staging() as waiting:
            for row in _with(first, rows):
                data = [row.cells, None if row.problem is None else str(row.problem)]
                waiting.add(row.number, self._rules.order_of(row.cells), data)
            for order in waiting.orders():
                yield [
                    SourceRow(
                        row.number,
                        tuple(row.data[0]),
                        row.problem or _said(row.data[1]),
                    )
                    for row in order
                ]

    def keep(self, rows: Sequence[SourceRow]) -> None:
        """Take in one chunk; they are committed some at a time."""
        self._number += 1
        self._rows += len(rows)
        now = self._desk.clock.now()
        self._waiting.append(
            {
                "tenant_id": self._tenant_id,
                "import_id": self._import_id,
                "n": self._number,
                "first_row": min(row.number for row in rows),
                "last_row": max(row.number for row in rows),
                "rows": len(rows),
                "content": pack_rows(rows),
                "state": "read",
                "counts": {},
                "attempts": 0,
                "created_at": now,
                "updated_at": now,
            }
        )
        if len(self._waiting) >= CHUNKS_A_COMMIT:
            self._commit()

    def end(self) -> None:
        """Commit what is left; the list stands in chunks then."""
        self._commit(is_last=True)

    def _commit(self, *, is_last: bool = False) -> None:
        self._go_on()
        with self._desk.database.tenant_session(self._tenant_id) as session:
            found = session.get_one(Import, self._import_id, with_for_update=True)
            if found.turn != self._turn or found.state != "validating":
                raise ImportStopped(Message("The import was ended meanwhile."))
            if self._waiting:
                session.connection().execute(insert(CHUNKS), self._waiting)
            found.rows_read = self._rows
            if is_last:
                found.rows_total, found.chunk_size = self._rows, CHUNK_ROWS
                facts.note(session, StepWanted(found.uid, found.turn, "check"))
            session.commit()
        self._waiting = []


def _fitted(number: int, cells: Sequence[str], width: int) -> SourceRow:
    """Return the row as wide as its header; what is too much or too little is its problem."""
    if len(cells) > width:
        if any(cell.strip() for cell in cells[width:]):
            return SourceRow(number, tuple(cells), misfit(len(cells), width))
        return SourceRow(number, tuple(cells[:width]))
    if len(cells) < width and len(cells) < 2 <= width:
        return SourceRow(number, tuple(cells), misfit(len(cells), width))
    return SourceRow(number, (*cells, *[""] * (width - len(cells))))


def _with(first: SourceRow, rows: Iterator[SourceRow]) -> Iterator[SourceRow]:
    yield first
    yield from rows


def _said(problem: str | None) -> Message | None:
    return None if problem is None else Message("%(problem)s", {"problem": problem})
