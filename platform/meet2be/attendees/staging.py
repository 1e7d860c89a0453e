"""A file beside the database in which a list waits while it is checked.

The whole list is read once before anything is written, so that a file that turns out to be no list
on its last line has changed nothing; and rows of one order may lie far apart. Both without
holding the list in memory: the rows wait in a temporary SQLite file of their own.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Final

from meet2be.attendees.csv_rows import ORDER, RawRow

MOST_IN_ORDER: Final = 2_000
_SCHEMA: Final = """
CREATE TABLE orders (first INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, count INTEGER NOT NULL);
CREATE TABLE rows (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, cells TEXT NOT NULL,
                   problem TEXT);
"""
_NOTE_ORDER: Final = """
INSERT INTO orders VALUES (?, ?, 1) ON CONFLICT (code) DO UPDATE SET count = count + 1
RETURNING first
"""
_IN_ORDER: Final = """
SELECT rows.first, number, cells, problem, coalesce(count, 1)
FROM rows LEFT JOIN orders ON orders.first = rows.first ORDER BY rows.first, number
"""


class Staging:
    """Rows waiting, given back order by order."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.rows = 0

    def fill(self, rows: Iterator[RawRow]) -> None:
        """Take in all rows; whatever the iterator raises passes through."""
        for row in rows:
            self._connection.execute(
                "INSERT INTO rows VALUES (?, ?, ?, ?)",
                (row.number, self._first(row), json.dumps(dict(row.values)), row.problem),
            )
            self.rows += 1
        self._connection.execute("CREATE INDEX by_order ON rows (first, number)")

    def orders(self) -> Iterator[list[RawRow]]:
        """Yield the rows of each order together, in the order in which the orders first occur.

        An order of more than MOST_IN_ORDER rows comes in parts, each row with that as its problem.
        """
        found = self._connection.execute(_IN_ORDER)
        for _, group in groupby(found, key=itemgetter(0)):
            rows = (_raw(*row[1:]) for row in group)
            while part := list(islice(rows, MOST_IN_ORDER)):
                yield part

    def _first(self, row: RawRow) -> int:
        """Return the row in which this row's order first occurs."""
        code = row.values.get(ORDER, "").strip()
        if not code:
            # It belongs to nobody but itself.
            return row.number
        (first,) = self._connection.execute(_NOTE_ORDER, (row.number, code)).fetchone()
        return int(first)


def _raw(number: int, cells: str, problem: str | None, count: int) -> RawRow:
    if count > MOST_IN_ORDER:
        problem = f"belongs to an order of {count:,} rows; {MOST_IN_ORDER:,} is the most"
    return RawRow(number, json.loads(cells), problem)


@contextmanager
def staging() -> Iterator[Staging]:
    """Yield an empty staging; its file is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="m2b-import-") as folder:
        path = Path(folder) / "rows.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # Thrown away in any case: nothing here needs to survive a crash.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN")
            yield Staging(connection)
