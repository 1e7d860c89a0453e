"""A list as rows of cells, whatever kind of file it is in."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import BinaryIO, Final, cast

from meet2be.attendees.csv_lines import CsvLines, RawFile
from meet2be.attendees.errors import ImportRefusedError
from meet2be.imports.detection import Layout
from meet2be.imports.errors import UnreadableUpload, message_of
from meet2be.imports.limits import MOST_COLUMNS, MOST_ROWS, PREVIEW_ROWS
from meet2be.imports.workbook.reader import WorkbookReader
from meet2be.integrations.storage import Store, StoreError
from meet2be.language import Message

Row = tuple[int, list[str]]
_LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class Source:
    """Where a list lies: its key in the store, its format, and the name people know it by."""

    store: Store
    key: str
    format: str
    name: str


@dataclass(frozen=True, slots=True)
class Table:
    """A list that is being read: its columns' names, and its rows as they come."""

    header: tuple[str, ...]
    rows: Iterator[Row]


@dataclass(frozen=True, slots=True)
class Preview:
    """The beginning of a list; `problem` is what ended it too early."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]
    problem: Message | None = None


@contextmanager
def opened_table(
    source: Source, layout: Layout, reader: WorkbookReader, most: int | None = None
) -> Iterator[Table]:
    """Yield the list. It, and its rows on the way, raise UnreadableUpload or ``ObjectMissing``.

    ``most`` is how many rows are wanted at all: of a workbook no more are read.
    """
    with source.store.open(source.key) as file:
        if source.format == "csv":
            yield _table(_csv_rows(source, file, layout), layout)
            return
        with tempfile.NamedTemporaryFile(prefix="m2b-import-", suffix=".xlsx") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            wanted = None if most is None else most + layout.header_row
            yield _table(reader.rows(copy.name, layout.sheet, wanted), layout)


def preview_of(source: Source, layout: Layout, reader: WorkbookReader) -> Preview:
    """Return the header and the first rows as this layout reads them; never raises for the file."""
    header: tuple[str, ...] = ()
    rows: list[Row] = []
    try:
        with opened_table(source, layout, reader, PREVIEW_ROWS) as table:
            header = table.header
            # One by one, so that those before a broken one are shown.
            rows.extend(islice(table.rows, PREVIEW_ROWS))
    except UnreadableUpload as error:
        return Preview(header, tuple(rows), error.why)
    except StoreError as error:
        return Preview(header, tuple(rows), message_of(error))
    if not header:
        return Preview(header, (), Message("There is nothing in this list."))
    return Preview(header, tuple(rows))


def _table(rows: Iterator[Row], layout: Layout) -> Table:
    """Return the table of the rows from the header's on."""
    after = _from_row(rows, layout.header_row)
    first = next(after, None)
    if first is None:
        return Table((), iter(()))
    number, cells = first
    if layout.header_row:
        return Table(_names(cells), _counted(after))
    letters = tuple(column_letters(place) for place in range(len(cells)))
    return Table(letters, _counted(chain([(number, cells)], after)))


def _from_row(rows: Iterator[Row], header_row: int) -> Iterator[Row]:
    for number, cells in rows:
        if number >= header_row and any(cell.strip() for cell in cells):
            if len(cells) > MOST_COLUMNS and any(cell.strip() for cell in cells[MOST_COLUMNS:]):
                raise UnreadableUpload(
                    Message(
                        "Row %(row)s has %(number)s columns; %(most)s are the most.",
                        {"row": number, "number": f"{len(cells):,}", "most": MOST_COLUMNS},
                    )
                )
            yield number, cells


def _counted(rows: Iterator[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows, start=1):
        if count > MOST_ROWS:
            raise UnreadableUpload(
                Message(
                    "The list has more than %(most)s rows. Upload it in parts.",
                    {"most": f"{MOST_ROWS:,}"},
                )
            )
        yield row


def _names(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the columns' names, each different: letters where there is none."""
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    seen: dict[str, int] = {}
    names: list[str] = []
    for place, cell in enumerate(cells):
        name = " ".join(cell.split())[:_LONGEST_NAME] or column_letters(place)
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)


def column_letters(place: int) -> str:
    """Return a column's name as spreadsheets have it: A for 0, AA for 26."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _csv_rows(source: Source, file: BinaryIO, layout: Layout) -> Iterator[Row]:
    encoding = "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding
    buffered = cast("BinaryIO", io.BufferedReader(RawFile(file), 1 << 16))
    try:
        lines = CsvLines(source.name, buffered, encoding)
        yield from lines.rows(layout.delimiter)
    except ImportRefusedError as error:
        raise UnreadableUpload(message_of(error)) from error
    except csv.Error as error:  # a delimiter that the module does not take
        raise UnreadableUpload(message_of(error)) from error
