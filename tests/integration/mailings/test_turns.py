"""Whose mails, exports and imports have their turn when many wait."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from jobs.export_event_attendees import ExportEventAttendees
from jobs.send_mails import SendMails
from jobs.send_transactional_email import SendTransactionalEmail
from jobs.work_import_chunk import WorkImportChunk
from meet2be.db import Database
from meet2be.queueing import dispatch_all
from onqueue import Job
from onqueue.connections import using
from onqueue.drivers.redis import RedisQueue
from onqueue.payload import decode
from onqueue.testing import FakeClock
from support.factories import make_tenant
from support.web import make_services

MANY = 40
SOON = 16
"""The first of another tenant starts within so many: queue-core's fairness."""


@pytest.mark.parametrize(
    ("connection", "queue", "job"),
    [
        ("redis", "emails", SendMails(mails=[1])),
        ("redis", "transactional-emails", SendTransactionalEmail(mail=1, person="a")),
        ("redis", "transactional-emails", SendTransactionalEmail(mail=1, person="a", urgent=True)),
        ("redis", "imports", WorkImportChunk(import_uid="i", turn=1, step="write", n=1)),
        ("redis-long", "exports", ExportEventAttendees(export="e")),
    ],
)
def test_many_jobs_of_one_tenant_hold_up_no_others(
    sqlite_database: Database,
    clock: FakeClock,
    tmp_path: Path,
    redis_url: str,
    connection: str,
    queue: str,
    job: Job,
) -> None:
    queues = make_services(sqlite_database, clock, tmp_path, REDIS_URL=redis_url).queues
    usual = SendTransactionalEmail(mail=2, person="a")
    many, few = make_tenant(sqlite_database), make_tenant(sqlite_database)
    with using(queues):
        for tenant, jobs in ((many, [usual if queue == usual.queue else job] * MANY), (few, [job])):
            with sqlite_database.tenant_session(tenant.id) as session:
                dispatch_all(session, jobs)
                session.commit()
    broker = cast("RedisQueue", queues.connection(connection))
    consumer = broker.consumer(broker.leases().open(), (queue,))
    first = consumer.turn(SOON, []).jobs
    assert str(few.id) in {decode(each.payload).context["tenant"] for each in first}
