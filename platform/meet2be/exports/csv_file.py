"""CSV: for spreadsheets by default (RFC 4180 with their habits), for programs when ``raw``."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from meet2be.exports.cells import without_commands, writable
from meet2be.exports.formats import Table
from meet2be.exports.reading import Chunk, Values
from meet2be.language import N_, Message

POINT, COMMA = ".", ","
BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class CsvFile:
    """Writes lines as they come, so that any number of them costs the same memory."""

    key: str = "csv"
    label: str = N_("CSV")
    suffix: str = "csv"
    content_type: str = "text/csv; charset=utf-8"
    most_rows: int = 5_000_000
    most_columns: int = 1000
    chunk_rows: int = 5000

    def trouble(self) -> Message | None:
        """Return None: it needs nothing."""
        return None

    def write(self, table: Table, chunks: Iterator[Chunk], folder: Path) -> Path:
        """Write the file; without rows it has its headings alone."""
        path = folder / "export.csv"
        cells = _Cells(table)
        with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
            if table.bom and not table.raw:
                file.write(BOM)  # the codec that writes it by itself is slow at every line
            lines = csv.writer(
                file, delimiter=COMMA if table.raw else table.delimiter, lineterminator="\r\n"
            )
            lines.writerow(cells.texts(table.headings))
            for chunk in chunks:
                lines.writerows(zip(*cells.of(chunk), strict=True))
        return path


class _Cells:
    """Turns values into the text of cells, a column at a time."""

    def __init__(self, table: Table) -> None:
        self._kinds = table.kinds
        self._raw = table.raw
        # Where a comma is the decimal sign, a spreadsheet takes "12.50" for text or for a date.
        self._sign = POINT if table.raw or table.language == "en" else COMMA

    def of(self, chunk: Chunk) -> Iterator[Values]:
        for kind, values in zip(self._kinds, chunk, strict=True):
            if kind == "money":
                yield self._amounts(values)
            elif kind == "moment":
                yield [value and value.isoformat(" ", "minutes") for value in values]
            else:
                yield self.texts(values)

    def texts(self, values: Values) -> Values:
        return values if self._raw else without_commands(writable(values))

    def _amounts(self, values: Values) -> Values:
        # All at once; amounts of two currencies may be equal and yet have other decimals.
        texts = "\n".join(map(str, values)).replace(POINT, self._sign)
        return texts.split("\n") if texts else []
