"""A worker killed around the moment in which it lets a job wait: nobody waits for ever."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from onqueue import dispatch_many
from onqueue.worker import WorkerOptions
from support.limited_jobs import Limited
from support.waiting import eventually
from support.worker_forks import ForkedWorker, make_test_manager
from support.worker_jobs import read_ledger

pytestmark = pytest.mark.crash

LEASE = 0.5
LONG_LEASE = 5.0  # for parents that live on: on a busy machine it must not lapse
OPTIONS = WorkerOptions(memory=0)
CASES = [
    ("wait_turn:before", "child"),
    ("wait_turn:before", "group"),
    ("wait_turn:after", "child"),
    ("wait_turn:after", "group"),
    ("turn:after", "group"),
]


@pytest.fixture
def workers() -> Iterator[list[ForkedWorker]]:
    started: list[ForkedWorker] = []
    yield started
    for worker in started:
        worker.end()


@pytest.mark.parametrize(("point", "victim"), CASES)
def test_a_kill_around_waiting_loses_no_job(
    tmp_path: Path,
    redis_url: str,
    workers: list[ForkedWorker],
    point: str,
    victim: str,
) -> None:
    """B4."""
    manager = make_test_manager(tmp_path, redis_url, lease=LEASE)
    labels = [f"l{number}" for number in range(6)]
    dispatch_many([Limited(label) for label in labels])
    marker = tmp_path / "struck"
    failpoint = {"point": point, "nth": 2, "victim": victim, "marker": str(marker)}
    failing = "onqueue.testing.failpoints:FailingQueue"
    lease = LONG_LEASE if victim == "child" else LEASE
    workers.append(
        ForkedWorker(tmp_path, redis_url, OPTIONS, lease=lease, driver=failing, options=failpoint)
    )
    eventually(marker.exists)
    workers.append(ForkedWorker(tmp_path, redis_url, OPTIONS, lease=LONG_LEASE))
    ledger = tmp_path / "ledger"
    eventually(lambda: {line.label for line in read_ledger(ledger)} == set(labels))
    # A job that moves while its queue is counted may be counted nowhere: so it is looked at last.
    eventually(lambda: manager.connection().size("default").total == 0)
    manager.close()
    ran = read_ledger(ledger)
    twice = [label for label, count in Counter(line.label for line in ran).items() if count > 1]
    assert len(twice) <= 1, "only what was at hand may have run twice"
    spent = [line for line in ran if line.attempts > 1]
    assert len(spent) <= 1, "only what was at hand has lost an attempt"
