"""A SQLite file whose commits are shared: one fsync for all that one event-loop turn wrote.

Handlers write freely, then wait for `committed()` before they answer, so nothing that anybody
was told can be lost, whenever the process is killed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

Row = tuple[Any, ...]


class DurableStore:
    """Opens the file, groups writes into commits, and tells when they are on disk."""

    def __init__(self, path: Path, schema: str) -> None:
        """Open or create `path` and bring it to `schema` (statements that may be repeated)."""
        self._connection = sqlite3.connect(path, isolation_level=None, cached_statements=512)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(schema)
        self._waiter: asyncio.Future[None] | None = None
        self._before_commit: list[Callable[[], None]] = []

    def before_commit(self, action: Callable[[], None]) -> None:
        """Have `action` write what it gathered in memory along with every commit."""
        self._before_commit.append(action)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a query; it sees what is written and not yet committed."""
        return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row of a query, or None."""
        found: Row | None = self._connection.execute(sql, parameters).fetchone()
        return found

    def write(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement inside the shared transaction and return the new row's number."""
        self._begin()
        return self._connection.execute(sql, parameters).lastrowid or 0

    def write_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for many rows inside the shared transaction."""
        self._begin()
        self._connection.executemany(sql, rows)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Undo what the block wrote when it raises; the others in the transaction keep theirs."""
        self._begin()
        self._connection.execute("SAVEPOINT block")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO block")
            raise
        finally:
            self._connection.execute("RELEASE block")

    async def committed(self) -> None:
        """Return once everything written so far is on disk."""
        if self._waiter is not None:
            await asyncio.shield(self._waiter)

    def close(self) -> None:
        """Commit what is open and close the file."""
        self._commit()
        self._connection.close()

    def _begin(self) -> None:
        if self._waiter is not None:
            return
        loop = asyncio.get_running_loop()
        self._connection.execute("BEGIN")
        self._waiter = loop.create_future()
        # call_soon runs after everything that is ready in this turn: those all share the commit.
        loop.call_soon(self._commit)

    def _commit(self) -> None:
        waiter = self._waiter
        if waiter is None:
            return
        try:
            for action in self._before_commit:
                action()
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            # Whoever waits must not be told that it is safe.
            self._connection.execute("ROLLBACK")
            waiter.set_exception(error)
        else:
            waiter.set_result(None)
        self._waiter = None
