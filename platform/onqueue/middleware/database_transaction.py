"""One database transaction around `handle`."""

from __future__ import annotations

import importlib
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from onqueue.job import Job
    from onqueue.middleware.pipeline import Next


class DatabaseTransaction:
    """Commits when `handle` returns, rolls back when it raises.

    The session is the run's own: `handle` gets the same one by naming its type. A job that
    released, snoozed or failed itself without raising has committed what it wrote. Jobs that wait
    for the commit belong to the transaction, where the manager has `SqlAlchemyTransactions`.
    """

    def __init__(self, session_type: type[Any] | None = None) -> None:
        """Use the service of a type; SQLAlchemy's `Session` unless told otherwise."""
        self._session_type = session_type

    def __call__(self, job: Job, inner: Next) -> None:
        """Run the job inside the transaction."""
        sql_session = importlib.import_module("sqlalchemy.orm").Session
        session = job.running("middleware").service(self._session_type or sql_session)
        try:
            with _joined(session) if isinstance(session, sql_session) else nullcontext():
                inner(job)
        except BaseException:
            session.rollback()
            raise
        session.commit()


@contextmanager
def _joined(session: Session) -> Iterator[None]:
    """Let what is dispatched inside belong to the session's transaction, begun now if need be."""
    if not session.in_transaction():
        session.begin()
    transactions = importlib.import_module("onqueue.outbox").SqlAlchemyTransactions()
    with transactions.bind(session):
        yield
