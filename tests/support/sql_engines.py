"""Databases for tests that hold on SQLite and on PostgreSQL alike."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event


def sqlite_engine(path: Path) -> Engine:
    """Return an engine on a file, shared well by several processes."""
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": 20.0, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _open(connection: sqlite3.Connection, _record: object) -> None:
        # Transactions begin where SQLAlchemy says, so that savepoints work.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")

    @event.listens_for(engine, "begin")
    def _begin(connection: object) -> None:
        connection.exec_driver_sql("BEGIN")  # type: ignore[attr-defined]

    return engine


def engine_for(url: str) -> Engine:
    """Return an engine on a database of either kind, by its address."""
    if url.startswith("sqlite:///"):
        return sqlite_engine(Path(url.removeprefix("sqlite:///")))
    return create_engine(url)


def database_url(request: pytest.FixtureRequest, kind: str, directory: Path) -> str:
    """Return the address of an empty database: 'sqlite' or 'postgres'."""
    if kind == "sqlite":
        return f"sqlite:///{directory / 'test.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
