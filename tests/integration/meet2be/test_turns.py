"""Turns at SQLite's one writer. Another `Database` stands for another process."""

import errno
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from meet2be.db import Database, engine, turns
from meet2be.db.turns import Turns, WritingConnection
from onqueue.testing import FakeClock
from support.waiting import eventually

LONG = 60.0
"""More patience than any test has."""


def opened(path: Path) -> Database:
    """Return what one process has of the database."""
    return Database(f"sqlite:///{path}", FakeClock())


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with one table."""
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", LONG)
    path = tmp_path / "turns.sqlite"
    with opened(path).system_connection("a table") as connection, connection.begin():
        connection.exec_driver_sql("CREATE TABLE written (who TEXT)")
    return path


@pytest.fixture
def ours(path: Path) -> Iterator[Database]:
    """What this process has of it."""
    database = opened(path)
    yield database
    database.close()


@pytest.fixture
def theirs(path: Path) -> Iterator[Database]:
    """What another process has of it."""
    database = opened(path)
    yield database
    database.close()


def turns_of(database: Database) -> Turns:
    """Return the turns that the database's connections take."""
    with database.system_connection("look") as connection:
        found = driver_of(connection).turns
    assert found is not None
    return found


def driver_of(connection: Connection) -> WritingConnection:
    """Return the driver's connection."""
    found = connection.connection.driver_connection
    assert isinstance(found, WritingConnection)
    return found


def write(database: Database, who: str) -> None:
    """Write one row."""
    with database.system_connection("write") as connection, connection.begin():
        connection.exec_driver_sql("INSERT INTO written VALUES (?)", (who,))


def written(database: Database) -> list[str]:
    """Return who wrote, in order."""
    with database.system_connection("read", read_only=True) as connection:
        rows = connection.exec_driver_sql("SELECT who FROM written ORDER BY rowid")
        return [row[0] for row in rows]


def is_free(path: Path) -> bool:
    """Tell whether another process would have the turn at once."""
    descriptor = os.open(f"{path}-turn", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def started(database: Database, who: str) -> threading.Thread:
    """Return a thread that writes, and stands in line by now."""
    before = len(turns_of(database)._waiting)
    thread = threading.Thread(target=write, args=(database, who))
    thread.start()
    eventually(lambda: len(turns_of(database)._waiting) > before)
    return thread


def test_threads_write_in_the_order_in_which_they_came(
    ours: Database, theirs: Database, path: Path
) -> None:
    with theirs.system_connection("first") as connection, connection.begin():
        waiting = [started(ours, who) for who in "abcdefgh"]
        assert written(ours) == []
        connection.exec_driver_sql("INSERT INTO written VALUES ('first')")
    for thread in waiting:
        thread.join(LONG)
    assert written(ours) == ["first", *"abcdefgh"]
    assert eventually(lambda: is_free(path))


def test_nobody_looks_in_vain_while_processes_write_at_once(
    ours: Database, theirs: Database
) -> None:
    begun: list[str] = []
    all_connected = threading.Barrier(6)

    def listen(database: Database, who: str) -> None:
        with database.system_connection("listen") as connection:
            all_connected.wait(LONG)
            driver_of(connection).set_trace_callback(
                lambda text: begun.append(who) if text == "BEGIN IMMEDIATE" else None
            )
            for _ in range(25):
                with connection.begin():
                    connection.exec_driver_sql("INSERT INTO written VALUES (?)", (who,))

    threads = [
        threading.Thread(target=listen, args=(database, f"{name}{number}"))
        for number in range(3)
        for name, database in (("ours", ours), ("theirs", theirs))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(written(ours)) == 150
    assert sorted(begun) == sorted(written(ours))


def test_a_turn_that_does_not_come_is_done_without(
    ours: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.01)
    write(ours, "before")
    stuck = os.open(f"{path}-turn", os.O_RDWR)
    fcntl.flock(stuck, fcntl.LOCK_EX)
    write(ours, "late")
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", LONG)
    write(ours, "at once, as it may be kept in vain")
    os.close(stuck)
    assert len(written(ours)) == 3
    assert not turns_of(ours)._waiting


def test_a_thread_that_waits_for_itself_is_told_that_the_database_is_locked(
    ours: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0.03)
    with ours.system_connection("outer") as connection, connection.begin():
        with pytest.raises(OperationalError, match="database is locked"):
            write(ours, "inner")
        connection.exec_driver_sql("INSERT INTO written VALUES ('outer')")
        assert not is_free(path)
    assert written(ours) == ["outer"]
    assert eventually(lambda: is_free(path))


def test_readers_need_no_turn(ours: Database, theirs: Database) -> None:
    with theirs.system_connection("write") as connection, connection.begin():
        assert written(ours) == []


def test_who_knows_nothing_of_turns_is_waited_for_as_ever(ours: Database, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO written VALUES ('other')")
    thread = threading.Thread(target=write, args=(ours, "ours"))
    thread.start()
    eventually(lambda: turns_of(ours)._holder is not None)
    other.execute("COMMIT")
    other.close()
    thread.join(LONG)
    assert written(ours) == ["other", "ours"]


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
def test_each_end_of_a_transaction_gives_the_turn_back(
    ours: Database, path: Path, end: str
) -> None:
    with ours.system_connection("write") as connection:
        transaction = connection.begin()
        assert not is_free(path)
        getattr(connection if end == "close" else transaction, end)()
        assert is_free(path)


def test_a_forked_child_neither_keeps_the_turn_nor_gives_it_away(
    ours: Database, path: Path
) -> None:
    told, tell = os.pipe()
    with ours.system_connection("write") as connection:
        driver_of(connection).take_turn()
        brief = os.fork()
        if not brief:
            os._exit(0)
        assert os.waitpid(brief, 0)[1] == 0
        assert not is_free(path)
        lasting = os.fork()
        if not lasting:
            ours.forget_connections()
            os.close(tell)
            os.read(told, 1)
            write(ours, "child")  # its connections are its own, and its turns
            os._exit(0)
    assert is_free(path)
    os.close(tell)
    assert os.waitpid(lasting, 0)[1] == 0
    os.close(told)
    assert written(ours) == ["child"]


def test_where_no_file_can_be_had_one_writes_without_turns(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.sqlite"
    Path(f"{path}-turn").mkdir()
    database = opened(path)
    with database.system_connection("a table") as connection, connection.begin():
        connection.exec_driver_sql("CREATE TABLE written (who TEXT)")
    write(database, "ours")
    assert written(database) == ["ours"]
    database.close()


def test_a_file_system_without_locks_is_written_to_without_turns(
    ours: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    write(ours, "ours")
    assert written(ours) == ["ours"]


def test_a_lock_that_fails_while_threads_wait_sends_them_on(
    ours: Database, theirs: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock

    def refuse_to_wait(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX:
            raise OSError(errno.ENOLCK, "no locks available")
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", refuse_to_wait)
    with theirs.system_connection("first") as connection, connection.begin():
        thread = threading.Thread(target=write, args=(ours, "ours"))
        thread.start()
        eventually(lambda: turns_of(ours)._without_until > 0)
    thread.join(LONG)
    assert written(ours) == ["ours"]


def test_a_system_without_threads_to_spare_is_done_without_turns(
    ours: Database, theirs: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    write(ours, "before")
    with theirs.system_connection("first") as connection, connection.begin():
        monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0.01)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OperationalError, match="database is locked"):
            write(ours, "ours")
    write(ours, "after")
    assert written(ours) == ["before", "after"]


def test_a_keeper_without_errands_ends(
    ours: Database, theirs: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_IDLE_SECONDS", 0.01)
    for who in "ab":
        with theirs.system_connection("first") as connection, connection.begin():
            thread = started(ours, who)
        thread.join(LONG)
        eventually(lambda: not turns_of(ours)._has_keeper)
    assert written(ours) == ["a", "b"]


def test_a_database_in_memory_has_no_turns() -> None:
    database = Database("sqlite://", FakeClock(), poolclass=StaticPool)
    with database.system_connection("look") as connection:
        assert driver_of(connection).turns is None
    database.close()
