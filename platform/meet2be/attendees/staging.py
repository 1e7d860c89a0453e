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
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from meet2be.language import Message

MOST_IN_ORDER: Final = 2_000
_SCHEMA: Final = """
CREATE TABLE orders (first INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, count INTEGER NOT NULL);
CREATE TABLE rows (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, data TEXT NOT NULL);
"""
_NOTE_ORDER: Final = """
INSERT INTO orders VALUES (?, ?, 1) ON CONFLICT (code) DO UPDATE SET count = count + 1
RETURNING first
"""
_IN_ORDER: Final = """
SELECT rows.first, number, data, coalesce(count, 1)
FROM rows LEFT JOIN orders ON orders.first = rows.first ORDER BY rows.first, number
"""


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A row as it was put in; `in_order` is how many rows its order has in all."""

    number: int
    data: Any
    in_order: int

    @property
    def problem(self) -> Message | None:
        """What is wrong when its order has more rows than can be taken together."""
        if self.in_order <= MOST_IN_ORDER:
            return None
        return Message(
            "belongs to an order of %(rows)s rows; %(most)s is the most",
            {"rows": f"{self.in_order:,}", "most": f"{MOST_IN_ORDER:,}"},
        )


class Staging:
    """Rows waiting, given back order by order."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.rows = 0

    def add(self, number: int, order: str, data: Any) -> None:
        """Take in a row of an order; without an order's code it belongs to nobody but itself.

        `data` is anything that JSON can hold.
        """
        self._connection.execute(
            "INSERT INTO rows VALUES (?, ?, ?)",
            (number, self._first(number, order), json.dumps(data)),
        )
        self.rows += 1

    def orders(self) -> Iterator[list[WaitingRow]]:
        """Yield the rows of each order together, in the order in which the orders first occur.

        An order of more than MOST_IN_ORDER rows comes in parts.
        """
        self._connection.execute("CREATE INDEX IF NOT EXISTS by_order ON rows (first, number)")
        found = self._connection.execute(_IN_ORDER)
        for _, group in groupby(found, key=itemgetter(0)):
            rows = (WaitingRow(number, json.loads(data), count) for _, number, data, count in group)
            while part := list(islice(rows, MOST_IN_ORDER)):
                yield part

    def _first(self, number: int, order: str) -> int:
        """Return the row in which this row's order first occurs."""
        if not order:
            return number
        (first,) = self._connection.execute(_NOTE_ORDER, (number, order)).fetchone()
        return int(first)


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
