"""The application's queues: which connections there are, and dispatch in a tenant's name.

A job is dispatched on the session that causes it: rolled back means never, committed means
dispatched, because the job's row is part of the same transaction (``onqueue.outbox``). The tenant
travels beside the job's data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from meet2be import db, facts
from meet2be.config import BrokerSettings
from meet2be.service_registry import svcs
from onqueue import Job, QueueManager, dispatch_many
from onqueue.bus import Chain, PendingBatch
from onqueue.contracts import Clock
from onqueue.failed.database import DatabaseFailedJobs
from onqueue.job_context import running
from onqueue.outbox.store import SqlOutbox
from onqueue.outbox.transactions import SqlAlchemyTransactions

TENANT = "tenant"
WEBHOOKS_BEFORE = "webhooks"
"""In a job's context: how many webhooks have caused it, one upon the other; left out for none."""
_acting_for: ContextVar[int | None] = ContextVar("meet2be_acting_for", default=None)
_webhooks: ContextVar[int] = ContextVar("meet2be_webhooks_before", default=0)
_transactions = SqlAlchemyTransactions()

# `lease` bounds how long the work of a worker that was killed waits for another one.
CONNECTIONS: dict[str, dict[str, Any]] = {
    "redis": {"queue": "default", "retry_after": 90, "lease": 10},
    "redis-long": {"queue": "long", "retry_after": 3_660, "lease": 10},
    "redis-priority": {"queue": "critical", "retry_after": 60, "lease": 10},
    "redis-cancellations": {"queue": "cancellations", "retry_after": 18_060, "lease": 10},
}


def make_queues(
    broker: BrokerSettings,
    database: db.Database,
    clock: Clock,
    registry: svcs.Registry,
    app_keys: Sequence[str] = (),
) -> QueueManager:
    """Return the manager of the platform's connections; connects to nothing yet.

    The first of the ``app_keys`` is the present one.
    """
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
        app_keys=[(_id_of(key), key.encode()) for key in dict.fromkeys(app_keys)],
    )


def _id_of(app_key: str) -> str:
    """Return what tells a key from others without telling the key."""
    return hashlib.blake2b(b"key id", key=app_key.encode()[:64], digest_size=4).hexdigest()


def dispatch(session: Session, *jobs: Job) -> None:
    """Dispatch ``jobs`` when ``session`` commits, in the name of its tenant."""
    dispatch_all(session, jobs)


def dispatch_all(session: Session, jobs: Sequence[Job]) -> None:
    """Dispatch many jobs when ``session`` commits; a rollback drops them all."""
    _dispatch(session, jobs, db.tenant_of(session))


def dispatch_batch(session: Session, pending: PendingBatch) -> str:
    """Dispatch a batch when ``session`` commits, in its tenant's name; return the batch's id."""
    _ = session.connection()
    with acting_for(db.tenant_of(session)), _transactions.bind(session):
        return pending.after_commit().dispatch().id


def tenant_of(job: Job) -> int | None:
    """Return the number of the tenant a running job works for; None for the platform's own jobs."""
    tenant = job.tenant
    return int(tenant) if tenant else None


def lane_of_tenant() -> int:
    """Return the `fair_key` of jobs that take turns by tenant: the number of whom they are for.

    0 are the platform's own.
    """
    tenant_id = _acting_for.get()
    if tenant_id is not None:
        return tenant_id
    run = running.get()
    return int(run.context.get(TENANT, 0)) if run is not None else 0


@contextmanager
def acting_for(tenant_id: int | None) -> Iterator[None]:
    """Let what is dispatched inside the block bear the tenant's number."""
    token = _acting_for.set(tenant_id)
    try:
        yield
    finally:
        _acting_for.reset(token)


@contextmanager
def after_webhooks(number: int) -> Iterator[None]:
    """Let what is announced or dispatched inside the block know how many webhooks caused it."""
    token = _webhooks.set(max(0, number))
    try:
        yield
    finally:
        _webhooks.reset(token)


def webhooks_before() -> int:
    """Return how many webhooks stand behind what is done now, here or in the running job."""
    run = running.get()
    known = 0 if run is None else int(run.context.get(WEBHOOKS_BEFORE, 0))
    return max(_webhooks.get(), known)


def _dispatch(session: Session, jobs: Sequence[Job], tenant_id: int | None) -> None:
    if not jobs:
        return
    _ = session.connection()  # so that there is a transaction to wait for
    with acting_for(tenant_id), _transactions.bind(session):
        dispatch_many([job.after_commit() for job in jobs])


def _dispatch_chains(session: Session, chains: Sequence[Chain], tenant_id: int | None) -> None:
    if not chains:
        return
    _ = session.connection()
    with acting_for(tenant_id), _transactions.bind(session):
        for each in chains:
            each.after_commit().dispatch()


def _context() -> dict[str, str]:
    tenant_id, webhooks = _acting_for.get(), webhooks_before()
    context = {} if tenant_id is None else {TENANT: str(tenant_id)}
    return {**context, WEBHOOKS_BEFORE: str(webhooks)} if webhooks else context


Triggers = Mapping[type, Callable[[Any], Sequence[Job | Chain]]]
"""For each kind of fact, the jobs and chains it causes."""


def hang_jobs_onto_facts(triggers: Triggers) -> Callable[[], None]:
    """Let the facts noted on any session become jobs in the commit that makes them true.

    Returns what undoes it. Raises ``KeyError`` in the commit for a fact without a trigger, so that
    none is lost unseen.
    """

    def before_commit(session: Session) -> None:
        if session.get_nested_transaction() is not None:
            return
        for fact in facts.take(session):
            caused = triggers[type(fact)](fact)
            tenant_id = getattr(fact, "tenant_id", db.tenant_of(session))
            _dispatch(session, [each for each in caused if isinstance(each, Job)], tenant_id)
            _dispatch_chains(session, [x for x in caused if isinstance(x, Chain)], tenant_id)

    def after_rollback(session: Session) -> None:
        facts.take(session)

    event.listen(db.GuardedSession, "before_commit", before_commit)
    event.listen(db.GuardedSession, "after_rollback", after_rollback)

    def undo() -> None:
        event.remove(db.GuardedSession, "before_commit", before_commit)
        event.remove(db.GuardedSession, "after_rollback", after_rollback)

    return undo
