"""One database transaction around `handle`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onqueue.job import Job
    from onqueue.middleware.pipeline import Next


class DatabaseTransaction:
    """Commits when `handle` returns, rolls back when it raises.

    The session is the run's own: `handle` gets the same one by naming its type. A job that
    released, snoozed or failed itself without raising has committed what it wrote.
    """

    def __init__(self, session_type: type[Any] | None = None) -> None:
        """Use the service of a type; SQLAlchemy's `Session` unless told otherwise."""
        self._session_type = session_type

    def __call__(self, job: Job, inner: Next) -> None:
        """Run the job inside the transaction."""
        session_type = self._session_type or importlib.import_module("sqlalchemy.orm").Session
        session = job.running("middleware").service(session_type)
        try:
            inner(job)
        except BaseException:
            session.rollback()
            raise
        session.commit()
