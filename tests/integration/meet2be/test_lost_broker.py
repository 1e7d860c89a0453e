"""What was committed is carried out although the broker loses everything it holds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from jobs.triggers import TRIGGERS
from meet2be.bootstrap import Services
from meet2be.cancellations.facts import LanesReady
from meet2be.db import Database
from meet2be.mailings.facts import MailsQueued
from meet2be.payments.facts import ProviderEventReceived
from meet2be.queueing import dispatch_all
from onqueue import Job
from onqueue.connections import using
from onqueue.outbox.reconciler import PATIENCE, Reconciler
from onqueue.outbox.store import SqlOutbox
from onqueue.testing.clock import FakeClock
from support.factories import make_tenant
from support.web import make_services

CAUSED = (
    (LanesReady(1, "a-run", (0, 1)), "redis-cancellations", "cancellations"),
    (MailsQueued((1, 2)), "redis", "emails"),
    (ProviderEventReceived(1), "redis", "default"),
)


@pytest.fixture
def services(
    sqlite_database: Database, clock: FakeClock, redis_url: str, tmp_path: Path
) -> Iterator[Services]:
    """Services on a broker of the test."""
    made = make_services(sqlite_database, clock, tmp_path, REDIS_URL=redis_url)
    with using(made.queues):
        yield made


@pytest.mark.parametrize(("fact", "connection", "name"), CAUSED, ids=lambda each: str(each)[:12])
def test_what_a_fact_causes_comes_back_after_the_broker_lost_it(
    services: Services, clock: FakeClock, redis_url: str, fact: object, connection: str, name: str
) -> None:
    tenant = make_tenant(services.database)
    jobs = [job for job in TRIGGERS[type(fact)](fact) if isinstance(job, Job)]
    with services.database.tenant_session(tenant.id) as session:
        dispatch_all(session, jobs)
        session.commit()
    queue = services.queues.connection(connection)
    assert queue.size(name).ready == len(jobs)

    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    assert queue.size(name).ready == 0
    clock.advance(PATIENCE + 1)
    outbox = SqlOutbox(services.database.engine, clock)
    report = Reconciler(outbox, services.queues, clock).run_once()

    assert report.lost == len(jobs)
    assert queue.size(name).ready == len(jobs)
