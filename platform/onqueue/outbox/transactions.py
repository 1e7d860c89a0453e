"""SQLAlchemy sessions as transactions that a dispatch can join.

Inside `bind(session)` a job is written on the session's own connection; what is to happen once the
session has committed is kept here, and dropped again with the savepoint or transaction it belongs
to. The row in the outbox is what makes this safe: whatever is lost in here, a relay does later.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from onqueue.outbox.store import deferred_marks
from onqueue.outbox.tables import job_outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session, SessionTransaction

log = logging.getLogger("onqueue.outbox")

_KEY = "onqueue.transaction"
_bound: ContextVar[Session | None] = ContextVar("onqueue_bound_session", default=None)


class SqlAlchemyTransactions:
    """Finds the transaction of the session that this context has bound.

    Sessions may come from anywhere. A bound session whose transaction has not begun is none: what
    is dispatched before it does not depend on it.
    """

    @contextmanager
    def bind(self, session: Session | None) -> Iterator[None]:
        """Let jobs dispatched inside the block belong to the session; None: to none."""
        token = _bound.set(session)
        try:
            yield
        finally:
            _bound.reset(token)

    def current(self) -> SessionJobs | None:
        """Return the bound session's open transaction, None when there is none."""
        session = _bound.get()
        if session is None or not session.in_transaction():
            return None
        known = session.info.get(_KEY)
        return known if isinstance(known, SessionJobs) else SessionJobs(session)


class SessionJobs:
    """What one outermost transaction of a session does for the jobs dispatched in it."""

    def __init__(self, session: Session) -> None:
        """Follow the session until its outermost transaction ends."""
        self._session = session
        self._callbacks: list[Callable[[], None]] = []
        self._committed = False
        self._followed: list[_Savepoints] = []
        session.info[_KEY] = self
        # Listeners cannot be taken away while they are called, so they stay with the session.
        if not event.contains(session, "after_commit", _on_commit):
            event.listen(session, "after_commit", _on_commit)
            event.listen(session, "after_transaction_end", _on_end)

    @property
    def connection(self) -> Connection:
        """The session's own connection, inside its transaction and its innermost savepoint."""
        found = self._session.connection(bind_arguments={"clause": job_outbox})
        if all(followed.connection is not found for followed in self._followed):
            self._followed.append(_Savepoints(found, self._callbacks))
        return found

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once the outermost transaction has committed, never when rolled back.

        A savepoint that is rolled back drops what was asked for inside it. What a callback raises
        is logged: the commit stands, and the relay does what it did not.
        """
        # A savepoint reaches the database with the first use of the connection inside it.
        _ = self.connection
        self._callbacks.append(callback)

    def committed(self) -> None:
        """Note that the outermost transaction reached the database."""
        self._committed = True

    def ended(self) -> None:
        """Do what was asked for if the transaction was committed, and forget it."""
        for followed in self._followed:
            followed.leave()
        if not self._committed:
            return
        try:
            with deferred_marks():
                for callback in self._callbacks:
                    _call(callback)
        except Exception:
            log.exception("dispatched jobs could not be marked: the relay pushes them again, once")


class _Savepoints:
    """Drops callbacks with the savepoint they were asked for in.

    Works on the connection's events, as a session's do not tell of savepoints made on its
    connection directly. Savepoints end in the reverse order of their beginning; one that ends
    without having been seen to begin is older than all callbacks.
    """

    def __init__(self, connection: Connection, callbacks: list[Callable[[], None]]) -> None:
        self.connection = connection
        self._callbacks = callbacks
        self._marks: list[int] = []
        for name, listener in self._listeners():
            event.listen(connection, name, listener)

    def leave(self) -> None:
        for name, listener in self._listeners():
            event.remove(self.connection, name, listener)

    def _listeners(self) -> list[tuple[str, Callable[..., None]]]:
        return [
            ("savepoint", self._on_savepoint),
            ("release_savepoint", self._on_release),
            ("rollback_savepoint", self._on_rollback),
        ]

    def _on_savepoint(self, _connection: Connection, _name: str | None) -> None:
        self._marks.append(len(self._callbacks))

    def _on_release(self, _connection: Connection, _name: str, _context: Any) -> None:
        if self._marks:
            self._marks.pop()

    def _on_rollback(self, _connection: Connection, _name: str, _context: Any) -> None:
        del self._callbacks[self._marks.pop() if self._marks else 0 :]


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        log.exception("a push after the commit failed: the relay does it")


def _on_commit(session: Session) -> None:
    jobs = session.info.get(_KEY)
    # Also sent when a savepoint is released; that decides nothing.
    if jobs is not None and session.get_nested_transaction() is None:
        jobs.committed()


def _on_end(session: Session, ended: SessionTransaction) -> None:
    # Only now is the session's connection back in its pool: what is done here may need one.
    if ended.parent is None and (jobs := session.info.pop(_KEY, None)) is not None:
        jobs.ended()
