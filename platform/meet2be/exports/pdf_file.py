"""PDF: tables of 500 rows laid out by WeasyPrint in children, merged and numbered by pypdf.

WeasyPrint takes some 10 ms and 0.1 MB a row, and gives memory back only with its process. So two
children at a time lay out a few hundred rows each, and end after some of those. Every page repeats
the headings; page numbers run through the whole file, so they are put on at the merge, when the
pages are known.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from meet2be.exports.formats import Table
from meet2be.exports.pdf_children import Children
from meet2be.exports.pdf_fonts import why_not
from meet2be.exports.pdf_html import page_of
from meet2be.exports.reading import Chunk
from meet2be.language import N_, Message

CHILDREN: Final = 2
NUMBER_SIZE: Final = 8
NUMBER_FROM_EDGE: Final = 28
"""Points, as are all lengths of PDF."""


@dataclass(frozen=True, slots=True)
class PdfFile:
    """Writes pages in landscape, for reading and printing."""

    key: str = "pdf"
    label: str = N_("PDF")
    suffix: str = "pdf"
    content_type: str = "application/pdf"
    most_rows: int = 20_000
    most_columns: int = 12
    chunk_rows: int = 500
    children: int = CHILDREN

    def trouble(self) -> Message | None:
        """Return what this machine lacks to lay out pages at all."""
        return why_not()

    def write(self, table: Table, chunks: Iterator[Chunk], folder: Path) -> Path:
        """Write the file; without rows its page says that there is no data."""
        parts: list[Path] = []
        waiting: deque[Future[Path]] = deque()
        with (
            Children(self.children) as children,
            ThreadPoolExecutor(self.children, "pdf") as threads,
        ):
            for number, chunk in enumerate(_one_at_least(table, chunks)):
                source = folder / f"{number:05}.html"
                source.write_text(page_of(table, chunk), encoding="utf-8", errors="replace")
                waiting.append(threads.submit(children.lay_out, source))
                # One more than there are children keeps them busy; the rest stays in the database.
                if len(waiting) > self.children:
                    parts.append(waiting.popleft().result())
            parts.extend(future.result() for future in waiting)
        return _merged(parts, folder / "export.pdf", table.title)


def _one_at_least(table: Table, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    first = next(chunks, None)
    yield [[] for _kind in table.kinds] if first is None else first
    yield from chunks


def _merged(parts: list[Path], path: Path, title: str) -> Path:
    from pypdf import PdfWriter

    with contextlib.closing(PdfWriter()) as writer:
        for part in parts:
            writer.append(part, import_outline=False)
            part.unlink()
        total = len(writer.pages)
        font = writer._add_object(_font())  # noqa: SLF001 -- pypdf has no other way to share one
        for number, page in enumerate(writer.pages, 1):
            _put_number(writer, page, font, f"{number} / {total}")
        writer.add_metadata({"/Title": title, "/Producer": "Meet2Be"})
        writer.write(path)
    return path


def _font() -> Any:
    from pypdf.generic import DictionaryObject, NameObject

    # One of the fourteen that every reader has: digits and a slash need no other.
    return DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )


def _put_number(writer: Any, page: Any, font: Any, text: str) -> None:
    from pypdf.generic import ArrayObject, DecodedStreamObject, DictionaryObject, NameObject

    resources = page["/Resources"].get_object()
    fonts = resources.setdefault(NameObject("/Font"), DictionaryObject()).get_object()
    fonts[NameObject("/PageNumber")] = font
    x = float(page.mediabox.width) - NUMBER_FROM_EDGE - len(text) * NUMBER_SIZE * 0.5
    stream, before = DecodedStreamObject(), DecodedStreamObject()
    before.set_data(b"q\n")
    stream.set_data(
        f"\nQ\nBT /PageNumber {NUMBER_SIZE} Tf 0.35 g {x:.1f} 16 Td ({text}) Tj ET\n".encode()
    )
    old = page["/Contents"].get_object()
    inner = list(old) if isinstance(old, ArrayObject) else [page.raw_get("/Contents")]
    page[NameObject("/Contents")] = ArrayObject(
        [writer._add_object(before), *inner, writer._add_object(stream)]  # noqa: SLF001
    )
