"""Turns at SQLite's one writer: the kernel wakes who is next, where all looked again and again.

A turn is a courtesy among the platform's own processes (ADR 23). What keeps writers apart is
SQLite's own lock below, as for every other program: whoever gets no turn begins without one.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final
from weakref import WeakSet

from onqueue.clock import SystemClock

PATIENCE_SECONDS: Final = 5.0
"""So long one waits for a turn; then without one, like any other program, until the patience with
SQLite's own lock ends too."""
WITHOUT_SECONDS: Final = 60.0
"""So long a process does without turns after one did not come: it may be kept in vain."""
_LOOK_SECONDS: Final = 0.1
"""So often who waits looks up, and can be interrupted (a job that is cut, a signal)."""
_IDLE_SECONDS: Final = 10.0
_monotonic = SystemClock().monotonic


class Turns:
    """The turns of one process at one database file, first come first served among its threads.

    A thread may be cut between any two steps (a job that is cancelled): the order of the steps is
    such that the connection's next `commit`, `rollback` or `close` brings everything in order.
    """

    def __init__(self, database: Path) -> None:
        """Keep turns at `database` in a lock on a file beside it, which is opened when needed."""
        self._database = database
        self._descriptor: int | None = None
        self._set_up()
        _all_turns.add(self)

    def _set_up(self) -> None:
        # A connection that nobody closed may be found amid a step here, and gives its turn back.
        self._guard = threading.RLock()
        self._holder: WritingConnection | None = None
        self._waiting: deque[tuple[WritingConnection, threading.Lock]] = deque()
        self._wanted: SimpleQueue[None] = SimpleQueue()
        self._is_fetching = False
        self._has_keeper = False
        self._without_until = 0.0

    def forget(self) -> None:
        """Begin anew in a forked child: the lock is the parent's, and would outlive it here."""
        self._close()
        self._set_up()

    def __del__(self) -> None:
        """Close the file; the lock, if still held, goes with it."""
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def take(self, connection: WritingConnection) -> bool:
        """Wait for a turn and tell whether `connection` has it; False: begin without one."""
        with self._guard:
            if _monotonic() < self._without_until:
                return False
            try:
                if self._is_taken_at_once(connection):
                    return True
            except OSError:  # no such file, or no such lock, is to be had here
                self._do_without()
                return False
            called = self._wait_in_line(connection)
        ends_at = _monotonic() + PATIENCE_SECONDS
        while not called.acquire(timeout=_LOOK_SECONDS):
            if _monotonic() >= ends_at:
                break
        with self._guard:
            if self._holder is connection:
                return True
            self._leave_the_line(connection)
            self._without_until = _monotonic() + WITHOUT_SECONDS
            return False

    def give(self, connection: WritingConnection) -> None:
        """Let the next one have the turn, or leave the line; does nothing without a turn."""
        with self._guard:
            if self._holder is connection:
                self._unlock()
                self._holder = None
            else:
                self._leave_the_line(connection)
            if self._waiting and self._holder is None:
                self._fetch()

    def _is_taken_at_once(self, connection: WritingConnection) -> bool:
        if self._holder is not None or self._waiting or self._is_fetching:
            return False
        self._holder = connection  # first: whoever is cut behind the lock still gives it back
        try:
            fcntl.flock(self._opened(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._holder = None
            return False
        except OSError:
            self._holder = None
            raise
        return True

    def _wait_in_line(self, connection: WritingConnection) -> threading.Lock:
        called = threading.Lock()
        called.acquire()
        self._waiting.append((connection, called))
        if self._holder is None:
            self._fetch()
        return called

    def _leave_the_line(self, connection: WritingConnection) -> None:
        for place in tuple(self._waiting):
            if place[0] is connection:
                self._waiting.remove(place)

    def _fetch(self) -> None:
        """Send the keeper for the lock. Twice does no harm, so that is what a cut may lead to."""
        if self._is_fetching:
            return
        if not self._has_keeper:
            keeper = threading.Thread(target=self._keep, name="writers-turns", daemon=True)
            try:
                keeper.start()
            except RuntimeError:  # the system gives no more threads
                self._do_without()
                return
            self._has_keeper = True
        self._wanted.put(None)
        self._is_fetching = True

    def _keep(self) -> None:
        """Wait in the kernel's line for the threads here: who waits there cannot be called off."""
        wanted, guard = self._wanted, self._guard
        while True:
            try:
                wanted.get(timeout=_IDLE_SECONDS)
            except Empty:
                with guard:
                    if wanted.empty():
                        self._has_keeper = False
                        return
                continue
            try:
                fcntl.flock(self._opened(), fcntl.LOCK_EX)
            except OSError:
                with guard:
                    self._do_without()
                continue
            with guard:
                self._is_fetching = False
                self._call_next()

    def _call_next(self) -> None:
        if self._holder is not None:
            return  # an errand too many: the lock is that one's
        if not self._waiting:
            self._unlock()
            return
        self._holder, called = self._waiting.popleft()
        called.release()

    def _do_without(self) -> None:
        """No turns for a while: the file system knows no such locks, or may not be written to."""
        self._without_until = _monotonic() + WITHOUT_SECONDS
        self._is_fetching = False
        while self._waiting:
            self._waiting.popleft()[1].release()

    def _opened(self) -> int:
        if self._descriptor is None:
            mode = self._database.stat().st_mode & 0o666  # as SQLite's own files beside it
            path = f"{self._database}-turn"
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
        return self._descriptor

    def _unlock(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)


class WritingConnection(sqlite3.Connection):
    """A connection that gives its turn back with the end of its transaction."""

    turns: Turns | None = None
    _is_in_turn = False

    def take_turn(self) -> None:
        """Wait for this connection's turn to write; without one after `PATIENCE_SECONDS`."""
        if self.turns is not None:
            self._is_in_turn = True  # first: whoever is cut while waiting leaves the line
            self._is_in_turn = self.turns.take(self)

    def give_turn(self) -> None:
        """Let the next one write."""
        if self._is_in_turn and self.turns is not None:
            self.turns.give(self)
            self._is_in_turn = False

    def commit(self) -> None:
        """Commit, and give the turn back."""
        try:
            super().commit()
        finally:
            self.give_turn()

    def rollback(self) -> None:
        """Roll back, and give the turn back."""
        try:
            super().rollback()
        finally:
            self.give_turn()

    def close(self) -> None:
        """Close, and give the turn back."""
        try:
            super().close()
        finally:
            self.give_turn()


_all_turns: Final[WeakSet[Turns]] = WeakSet()


def _forget_all() -> None:
    for turns in list(_all_turns):
        turns.forget()


os.register_at_fork(after_in_child=_forget_all)
