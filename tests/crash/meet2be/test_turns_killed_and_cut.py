"""A turn at SQLite's one writer, its holder killed or cut at each line of the way."""

import fcntl
import inspect
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from meet2be.db import Database, engine, turns
from onqueue.testing import FakeClock

pytestmark = pytest.mark.crash

WATCHED = {module.__file__: inspect.getsource(module).splitlines() for module in (turns, engine)}
LONG = 60.0


class Cut(BaseException):
    """What a job that is cancelled is cut with."""


class Lines:
    """Counts the lines of turns and engine that threads come by, and acts at one of them."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.left = at
        self._act = act

    def watch(self, frame: FrameType, event: str, _argument: Any) -> Any:
        """Trace a thread: the function that ``sys.settrace`` takes."""
        source = WATCHED.get(frame.f_code.co_filename)
        if source is None:
            return None
        # Python cuts behind calls and at loops: never at a `try`, nor between a block and the end
        # of its `with`.
        code = source[frame.f_lineno - 1].lstrip()
        if event == "line" and not code.startswith(("with ", "try:")):
            self.left -= 1
            if self.left == 0:
                self._act()
        return self.watch


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A database with one table; nobody waits in vain for long, so a turn that is kept shows."""
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", LONG)
    path = tmp_path / "turns.sqlite"
    database = Database(f"sqlite:///{path}", FakeClock())
    with database.system_connection("a table") as connection, connection.begin():
        connection.exec_driver_sql("CREATE TABLE written (who TEXT)")
    database.close()
    yield path
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    other.close()


def write(database: Database) -> None:
    """Write one row."""
    with database.system_connection("write") as connection, connection.begin():
        connection.exec_driver_sql("INSERT INTO written VALUES ('x')")


def assert_free(path: Path) -> None:
    """Fail unless another process has the turn and SQLite's lock at once."""
    descriptor = os.open(f"{path}-turn", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    other.close()


def write_beside_another(database: Database, lines: Lines) -> None:
    """Write as one of two threads, so that the other one waits in line until it is called."""
    with database.system_connection("first") as connection, connection.begin():
        threading.settrace(lines.watch)
        second = threading.Thread(target=write, args=(database,))
        second.start()
        while not _waiting(connection) and second.is_alive():
            second.join(0.001)
    second.join(LONG)


def _waiting(connection: Any) -> int:
    return len(connection.connection.driver_connection.turns._waiting)


@pytest.mark.parametrize(("is_contended", "step"), [(False, 1), (True, 3)])
def test_who_is_killed_at_any_line_leaves_the_turn_to_the_next(
    path: Path, is_contended: bool, step: int
) -> None:
    database = Database(f"sqlite:///{path}", FakeClock())
    write(database)
    database.close()
    killed = 0
    while _dies(database, killed + step, is_contended=is_contended):
        killed += step
        assert_free(path)
    assert killed > 30


def _dies(database: Database, line: int, *, is_contended: bool) -> bool:
    """Tell whether a process was killed at that line before it was through with its rows."""
    pid = os.fork()
    if not pid:
        try:
            database.forget_connections()
            lines = Lines(line, lambda: os.kill(os.getpid(), signal.SIGKILL))
            sys.settrace(lines.watch)
            if is_contended:
                write_beside_another(database, lines)
            else:
                write(database)
        finally:
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert status in {0, signal.SIGKILL}
    return status != 0


def test_who_is_cut_at_any_line_gives_the_turn_back(path: Path) -> None:
    database = Database(f"sqlite:///{path}", FakeClock())
    write(database)
    cut = 0
    while _is_cut(database, cut + 1):
        cut += 1
        assert_free(path)
        write(database)
        assert_free(path)
    assert cut > 30
    database.close()


def test_who_is_cut_while_waiting_leaves_the_line(path: Path) -> None:
    database = Database(f"sqlite:///{path}", FakeClock())
    theirs = Database(f"sqlite:///{path}", FakeClock())
    write(database)
    cut, is_cut = 0, True
    while is_cut:
        with theirs.system_connection("first") as connection, connection.begin():
            found: list[bool] = []
            thread = threading.Thread(target=_note_cut, args=(found, database, cut + 1))
            thread.start()
            while thread.is_alive() and not _stands_in_line(database):
                thread.join(0.001)
        thread.join(LONG)
        (is_cut,) = found
        cut += is_cut
        write(database)
        write(theirs)
    assert cut > 40
    database.close()
    theirs.close()


def _stands_in_line(database: Database) -> int:
    with database.system_connection("look") as connection:
        return _waiting(connection)


def _note_cut(found: list[bool], database: Database, line: int) -> None:
    found.append(_is_cut(database, line))


def _is_cut(database: Database, line: int) -> bool:
    def cut() -> None:
        raise Cut

    before = sys.gettrace()
    sys.settrace(Lines(line, cut).watch)
    try:
        write(database)
    except Cut:
        return True
    finally:
        sys.settrace(before)
    return False
