"""Engines: how SQLite and PostgreSQL are opened so that both keep the same promises."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from meet2be.db.base import CLOCK_OPTION
from meet2be.db.errors import UnsupportedDatabaseError
from meet2be.db.turns import Turns, WritingConnection
from onqueue.clock import SystemClock
from onqueue.contracts import Clock

BUSY_TIMEOUT_SECONDS: Final = 15.0
_ROUND_MS: Final = 8
"""After so long waiting for the one writer begins anew: SQLite looks after 1, 2 and 5 ms, and then
ever more rarely, so that of many writers those who have waited longest would come last."""
BEGIN_OPTION: Final = "meet2be_sqlite_begin"
_monotonic = SystemClock().monotonic
_PATIENCE: Final = f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_SECONDS * 1000)}"
_PRAGMAS = (
    _PATIENCE,
    "PRAGMA journal_mode = WAL",
    # A commit that was confirmed survives a power cut; NORMAL would not promise that.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # What a large import left of the journal goes back to the disk.
    "PRAGMA journal_size_limit = 67108864",
)


def normal_url(url: str | URL) -> URL:
    """Return the address with the driver we ship; raise UnsupportedDatabaseError for others."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # The text may hold a password, so it is not shown.
        raise UnsupportedDatabaseError("(unreadable address)") from error
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return parsed.set(drivername="sqlite+pysqlite")
    if kind in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise UnsupportedDatabaseError(kind)


def make_engine(url: str | URL, clock: Clock, **options: Any) -> Engine:
    """Return an engine that stamps rows with `clock`; `options` go to SQLAlchemy.

    SQLite: every transaction begins as a writer (BEGIN IMMEDIATE) unless its connection says
    otherwise, because a reader that turns writer half-way dies as soon as somebody else wrote.
    """
    target = normal_url(url)
    sqlite = target.get_backend_name() == "sqlite"
    defaults: dict[str, Any] = (
        {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS, "factory": WritingConnection}}
        if sqlite
        else {"pool_pre_ping": True}
    )
    engine = create_engine(
        target,
        execution_options={CLOCK_OPTION: clock},
        hide_parameters=True,  # addresses and tokens do not belong into logs of errors
        **{**defaults, **options},
    )
    if sqlite:
        turns = _turns_at(target)
        event.listen(engine, "connect", lambda made, _record: _set_up_sqlite(made, turns))
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _turns_at(url: URL) -> Turns | None:
    """Return the turns of those who write to the file; None for a database in memory."""
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Turns(Path(name).absolute())


def _set_up_sqlite(connection: sqlite3.Connection, turns: Turns | None) -> None:
    if isinstance(connection, WritingConnection):
        connection.turns = turns
    # The driver's own idea of transactions begins them too late; `_begin_sqlite` does it.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get(BEGIN_OPTION, "IMMEDIATE")
    # Straight on the driver: this runs in every transaction there is.
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    statement = f"BEGIN {mode}"
    try:
        if mode == "IMMEDIATE":
            _begin_writing(driver, statement)
        else:
            driver.execute(statement)
    except sqlite3.Error as error:
        raise DBAPIError.instance(
            statement, None, error, sqlite3.Error, dialect=connection.dialect
        ) from error


def _begin_writing(driver: sqlite3.Connection, statement: str) -> None:
    """Wait to be the one writer; raise when that takes too long.

    First for the turn among the platform's own processes, then for SQLite's lock, which others may
    have, with the same chance in each round.
    """
    ends_at = _monotonic() + BUSY_TIMEOUT_SECONDS
    try:
        if isinstance(driver, WritingConnection):
            driver.take_turn()
        _begin_in_rounds(driver, statement, ends_at)
    except BaseException:
        if isinstance(driver, WritingConnection):
            driver.give_turn()
        raise


def _begin_in_rounds(driver: sqlite3.Connection, statement: str, ends_at: float) -> None:
    driver.execute(f"PRAGMA busy_timeout = {_ROUND_MS}")
    try:
        while True:
            try:
                driver.execute(statement)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or _monotonic() >= ends_at:
                    raise
            else:
                return
    finally:
        driver.execute(_PATIENCE)
