"""Which errors of a database say that it did not serve us."""

import sqlite3
from contextlib import closing

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from meet2be.db.errors import is_away


def of(original: Exception, kind: type[Exception]) -> DBAPIError:
    """Return what SQLAlchemy makes of a driver's error."""
    found = DBAPIError.instance("SELECT 1", None, original, kind)
    assert isinstance(found, DBAPIError)
    return found


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (psycopg.errors.AdminShutdown("bye"), True),
        (psycopg.errors.DeadlockDetected("both"), True),
        (psycopg.errors.LockNotAvailable("held"), True),
        (psycopg.errors.TooManyConnections("full"), True),
        (psycopg.OperationalError("connection refused"), True),
        (psycopg.errors.DiskFull("no room"), False),
        (psycopg.errors.StatementTooComplex("deep"), False),
        (psycopg.errors.UniqueViolation("twice"), False),
    ],
)
def test_postgresql_is_away_when_it_did_not_serve_us(error: Exception, away: bool) -> None:
    assert is_away(of(error, psycopg.Error)) is away


def test_sqlite_is_away_while_others_write_and_not_when_a_table_is_missing() -> None:
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(sqlite3.OperationalError) as missing,
    ):
        connection.execute("SELECT * FROM nowhere")
    assert not is_away(of(missing.value, sqlite3.Error))
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    assert is_away(of(busy, sqlite3.Error))
