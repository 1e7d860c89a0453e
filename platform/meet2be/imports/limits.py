"""What an upload may be at most; beyond it is a clear refusal."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

LARGEST_UPLOAD: Final = 50 * 1024 * 1024
"""Bytes of a file."""
MOST_COLUMNS: Final = 500
MOST_ROWS: Final = 2_000_000
"""Rows of a list; a workbook has less, see below."""
LONGEST_CELL: Final = 131_072
"""Characters; what Python's csv module takes, four times what a spreadsheet's cell can hold."""

# Workbooks, which are zip archives of XML.
MOST_ENTRIES: Final = 200
LARGEST_UNPACKED: Final = 200 * 1024 * 1024
HIGHEST_RATIO: Final = 100
RATIO_FROM: Final = 1024 * 1024
"""Unpacked bytes from which on the ratio counts: small files of blanks are harmless."""
MOST_WORKBOOK_ROWS: Final = 200_000
MOST_CELLS: Final = 2_000_000
LARGEST_AREA: Final = 5_000_000
"""Rows times columns: the fast reader makes room for all of them."""

CHILD_MEMORY: Final = 768 * 1024 * 1024
CHILD_CPU: Final = 30
"""Seconds of computing after which the child that reads a workbook is killed."""
CHILD_WAIT: Final = 60.0
"""Seconds without a word of it after which it is killed as well."""

PREVIEW_WAIT: Final = 12.0
"""The same while somebody waits for a page: two readers in turn must end before the web server
gives a request up."""

PREVIEW_ROWS: Final = 20
CHUNK_ROWS: Final = 500
UNDO_FOR: Final = timedelta(days=7)
KEPT_FOR: Final = timedelta(days=30)
"""After its end an import's file and rows are kept so long; the entry itself stays."""
