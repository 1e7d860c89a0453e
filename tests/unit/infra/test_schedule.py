"""The platform's schedule against its queues and pools."""

from __future__ import annotations

import pytest

from jobs.schedule import SCHEDULE, WATCHED
from meet2be.queueing import CONNECTIONS
from onqueue.schedule import Entry
from workers.pools import POOLS

SERVED = {f"{pool.connection}:{queue}" for pool in POOLS for queue in pool.queues}


@pytest.mark.parametrize("entry", SCHEDULE, ids=lambda entry: entry.name)
def test_each_entry_is_due_and_its_queue_is_served(entry: Entry) -> None:
    SCHEDULE.check()
    job = entry.make()
    assert SCHEDULE.connection is not None
    assert f"{SCHEDULE.connection}:{job.queue}" in SERVED


@pytest.mark.parametrize("entry", SCHEDULE, ids=lambda entry: entry.name)
def test_no_pool_that_serves_an_entry_is_stopped_before_its_job_may_end(entry: Entry) -> None:
    job = entry.make()
    assert isinstance(job.timeout, int)
    assert all(pool.timeout >= job.timeout for pool in POOLS if job.queue in pool.queues)


def test_what_is_watched_exists() -> None:
    assert set(WATCHED) <= SERVED
    assert {name.partition(":")[0] for name in WATCHED} <= CONNECTIONS.keys()
