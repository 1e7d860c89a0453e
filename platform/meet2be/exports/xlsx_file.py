"""Excel workbooks, written as they come by rust_xlsxwriter in its constant memory.

Chosen by measurement (`tests/bench/exports.py`): ten times as fast as openpyxl's write-only mode
and XlsxWriter's constant memory, with the least memory of the three. Texts become inline strings,
so that nothing is ever a formula; `_x0041_`, which Excel would decode, is escaped by the library.
What it refuses or Excel cannot open is mended here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from meet2be.exports.cells import cut_to, utf16_length, writable
from meet2be.exports.formats import Table
from meet2be.exports.reading import Chunk, Values
from meet2be.language import N_, Message, _, speaking

MOST_ROWS_A_SHEET: Final = 1_048_575
"""Without the headings: "Excel specifications and limits" has 1,048,576 rows."""
LONGEST_TEXT: Final = 32_767
"""Of a cell, in units of UTF-16; the same page."""
MOST_NOTES: Final = 200
MOMENTS: Final = "yyyy-mm-dd hh:mm"
_BREAKS = re.compile("\r\n?")
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class XlsxFile:
    """Writes sheets of up to Excel's number of rows, and one that says where they come from."""

    key: str = "xlsx"
    label: str = N_("Excel workbook")
    suffix: str = "xlsx"
    content_type: str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    most_rows: int = 5_000_000
    most_columns: int = 16_384
    chunk_rows: int = 5000
    rows_a_sheet: int = MOST_ROWS_A_SHEET

    def trouble(self) -> Message | None:
        """Return None: its library is one of the platform's own."""
        return None

    def write(self, table: Table, chunks: Iterator[Chunk], folder: Path) -> Path:
        """Write the workbook; without rows its sheet says that there is no data."""
        import rustpy_xlsxwriter as writer

        path = folder / "export.xlsx"
        cells = _Cells(table)
        names = _names(table, -(-table.total // self.rows_a_sheet) or 1)
        rows = cells.records(chunks)
        formats = _formats(writer, table, cells.headings)
        writer.write_worksheets(
            [
                *((name, self._rows_of_one(name, names, rows, cells)) for name in names),
                (_about_name(table), _about(table, cells)),
            ],
            str(path),
            freeze_panes={name: {"row": 1, "col": 0} for name in names},
            bold_headers=True,
            datetime_format=MOMENTS,
            column_formats=dict.fromkeys(names, formats) if formats else None,
            column_widths={
                **{name: [14.0 * width for width in table.widths] for name in names},
                _about_name(table): [24.0, 90.0],
            },
        )
        return path

    def _rows_of_one(
        self, name: str, names: Sequence[str], rows: Iterator[Any], cells: _Cells
    ) -> Iterator[dict[str, Any]]:
        # The last one takes what is left: the rows were counted in the same snapshot.
        some = rows if name == names[-1] else islice(rows, self.rows_a_sheet)
        first = next(some, None)
        if first is None:
            yield cells.nothing()
            return
        yield from chain((first,), some)


@dataclass(slots=True)
class _Cells:
    """Turns values into cells, and remembers what had to be cut."""

    table: Table
    headings: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    written: int = 0

    def __post_init__(self) -> None:
        self.headings = _apart(
            [text or "" for text in writable([h[:255] for h in self.table.headings])]
        )

    def records(self, chunks: Iterator[Chunk]) -> Iterator[dict[str, Any]]:
        """Yield the rows as the library wants them."""
        headings = self.headings
        for chunk in chunks:
            columns = [
                self._column(place, kind, values)
                for place, (kind, values) in enumerate(zip(self.table.kinds, chunk, strict=True))
            ]
            self.written += len(columns[0])
            for row in zip(*columns, strict=True):
                yield dict(zip(headings, row, strict=True))

    def nothing(self) -> dict[str, Any]:
        """Return the row of a sheet without rows."""
        return {
            heading: self.table.nothing if place == 0 else None
            for place, heading in enumerate(self.headings)
        }

    def _column(self, place: int, kind: str, values: Values) -> Values:
        if kind == "money":
            return [None if value is None else float(value) for value in values]
        if kind == "moment":
            # Excel's days begin in 1900; what is older is told as text.
            return [
                str(value) if value is not None and value.year < 1900 else value for value in values
            ]
        texts = writable(
            [text and _BREAKS.sub("\n", text) if text and "\r" in text else text for text in values]
        )
        # A sign counts twice at most: shorter texts need no counting.
        if max([len(text) for text in texts if text], default=0) > LONGEST_TEXT // 2:
            return [self._cut(place, row, text) for row, text in enumerate(texts)]
        return texts

    def _cut(self, place: int, row: int, text: str | None) -> str | None:
        if text is None or utf16_length(text) <= LONGEST_TEXT:
            return text
        if len(self.notes) < MOST_NOTES:
            with speaking(self.table.language):
                self.notes.append(
                    _(
                        "Row %(row)s, %(column)s: cut to Excel's %(most)s characters.",
                        row=self.written + row + 2,
                        column=self.headings[place],
                        most=f"{LONGEST_TEXT:,}",
                    )
                )
        return f"{cut_to(text, LONGEST_TEXT - 1)}…"


def _about(table: Table, cells: _Cells) -> Iterator[dict[str, str | None]]:
    """Yield the last sheet; what was cut is known by now, as sheets are written in their order."""
    for label, value in table.about:
        yield {" ": label, "  ": (writable([value])[0] or "")[: LONGEST_TEXT // 2]}
    for note in cells.notes:
        yield {" ": "", "  ": note}


def _about_name(table: Table) -> str:
    with speaking(table.language):
        return sheet_name(_("About this file"))


def _names(table: Table, number: int) -> list[str]:
    with speaking(table.language):
        name = sheet_name(_("Attendees"))
    return [name] if number == 1 else [f"{name} {place}" for place in range(1, number + 1)]


def sheet_name(name: str) -> str:
    r"""Return a name that Excel takes: up to 31 characters, none of ``[]:*?/\``, no outer '."""
    cleaned = _NOT_IN_NAMES.sub(" ", name).strip().strip("'")
    return cut_to(cleaned, 31).strip() or "Sheet"


def _apart(headings: Sequence[str]) -> tuple[str, ...]:
    """Return headings of which no two are alike: they are keys on the way to the file."""
    seen: dict[str, int] = {}
    found = []
    for heading in headings:
        seen[heading] = seen.get(heading, 0) + 1
        found.append(heading if seen[heading] == 1 else f"{heading} ({seen[heading]})")
    return tuple(found)


def _formats(writer: Any, table: Table, headings: Sequence[str]) -> dict[str, Any]:
    digits = f"0.{'0' * table.decimals}" if table.decimals else "0"
    return {
        heading: writer.Format().set_num_format(digits)
        for heading, kind in zip(headings, table.kinds, strict=True)
        if kind == "money"
    }
