"""Two people at one row of PostgreSQL: one waits for what the other has begun."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.orm import Session

from meet2be.db import Database
from support.waiting import eventually

Result = TypeVar("Result")


def while_begun(database: Database, begun: Session, late: Callable[[], Result]) -> Result:
    """Do ``late`` beside what ``begun`` has not committed, commit once it waits, return its result.

    PostgreSQL only: SQLite lets nobody begin to write beside somebody else.
    """
    with ThreadPoolExecutor(1, "late") as threads:
        future = threads.submit(late)
        eventually(lambda: somebody_waits(database) or future.done())
        begun.commit()
        return future.result(60)


def somebody_waits(database: Database) -> bool:
    """Tell whether anybody waits for a lock in this database."""
    with database.system_connection("test: who waits") as connection:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(connection.execute(waiting).scalar_one())
