"""The formats there are; a further one is a class beside these and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from meet2be.exports.csv_file import CsvFile
from meet2be.exports.formats import Exporter
from meet2be.exports.pdf_file import PdfFile
from meet2be.exports.xlsx_file import XlsxFile


@cache
def exporters() -> Mapping[str, Exporter]:
    """Return every format by its key, in the order of the page."""
    found: tuple[Exporter, ...] = (XlsxFile(), CsvFile(), PdfFile())
    return {exporter.key: exporter for exporter in found}
