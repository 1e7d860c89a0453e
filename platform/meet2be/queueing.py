"""The application's queues: which connections there are, and dispatch in a tenant's name.

A job is dispatched on the session that causes it: rolled back means never, committed means
dispatched, because the job's row is part of the same transaction (``onqueue.outbox``). The tenant
travels beside the job's data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import svcs
from sqlalchemy.orm import Session

from meet2be import db
from meet2be.config import BrokerSettings
from onqueue import Job, QueueManager, dispatch_many
from onqueue.contracts import Clock
from onqueue.failed.database import DatabaseFailedJobs
from onqueue.outbox.store import SqlOutbox
from onqueue.outbox.transactions import SqlAlchemyTransactions

TENANT = "tenant"
_acting_for: ContextVar[int | None] = ContextVar("meet2be_acting_for", default=None)
_transactions = SqlAlchemyTransactions()

# `lease` bounds how long the work of a worker that was killed waits for another one.
CONNECTIONS: dict[str, dict[str, Any]] = {
    "redis": {"queue": "default", "retry_after": 90, "lease": 10},
    "redis-long": {"queue": "long", "retry_after": 300, "lease": 10},
    "redis-priority": {"queue": "critical", "retry_after": 60, "lease": 10},
    "redis-cancellations": {"queue": "cancellations", "retry_after": 18_060, "lease": 10},
}


def make_queues(
    broker: BrokerSettings, database: db.Database, clock: Clock, registry: svcs.Registry
) -> QueueManager:
    """Return the manager of the platform's connections; connects to nothing yet."""
    return QueueManager(
        default="redis",
        connections={
            name: {"driver": "redis", "url": broker.url, **options}
            for name, options in CONNECTIONS.items()
        },
        failed=DatabaseFailedJobs(database.engine, clock),
        outbox=SqlOutbox(database.engine, clock),
        transactions=_transactions,
        services=registry,
        clock=clock,
        context=_context,
    )


def dispatch(session: Session, *jobs: Job) -> None:
    """Dispatch ``jobs`` when ``session`` commits, in the name of its tenant."""
    dispatch_all(session, jobs)


def dispatch_all(session: Session, jobs: Sequence[Job]) -> None:
    """Dispatch many jobs when ``session`` commits; a rollback drops them all."""
    if not jobs:
        return
    _ = session.connection()  # a transaction there is something to wait for
    with acting_for(db.tenant_of(session)), _transactions.bind(session):
        dispatch_many([job.after_commit() for job in jobs])


def tenant_of(job: Job) -> int | None:
    """Return the number of the tenant a running job works for; None for the platform's own jobs."""
    tenant = job.tenant
    return int(tenant) if tenant else None


@contextmanager
def acting_for(tenant_id: int | None) -> Iterator[None]:
    """Let what is dispatched inside the block bear the tenant's number."""
    token = _acting_for.set(tenant_id)
    try:
        yield
    finally:
        _acting_for.reset(token)


def _context() -> dict[str, str]:
    tenant_id = _acting_for.get()
    return {} if tenant_id is None else {TENANT: str(tenant_id)}
