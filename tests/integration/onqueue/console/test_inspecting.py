"""`jobs`, `locks` and `forget-waiting` on a real broker."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onqueue.connections import QueueManager
from onqueue.console import build_group
from onqueue.contracts import Burial, Message
from onqueue.drivers.redis import RedisQueue
from support.outbox_records import job_id

Run = Callable[..., Result]


@pytest.fixture
def manager(redis_url: str) -> Iterator[QueueManager]:
    connections = {"redis": {"driver": "redis", "url": redis_url}, "sync": {"driver": "sync"}}
    made = QueueManager("redis", connections)
    yield made
    made.close()


@pytest.fixture
def queue(manager: QueueManager) -> RedisQueue:
    found = manager.connection()
    assert isinstance(found, RedisQueue)
    return found


@pytest.fixture
def run(manager: QueueManager) -> Run:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(build_group(lambda: manager), arguments)

    return invoke


def push(queue: RedisQueue, *numbers: int, delay: float = 0.0) -> None:
    for number in numbers:
        payload = b'{"v":1,"job":"Mail","at":1000,"data":{"n":%d}}' % number
        assert queue.push(Message(job_id(number), "mails", payload, delay))


def listed(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("jobs", "mails", "--json", *arguments)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.output)
    return found


def test_jobs_are_shown_in_every_state(run: Run, queue: RedisQueue) -> None:
    """B15."""
    push(queue, 1, 2, 3)
    push(queue, 4, delay=60)
    leases = queue.leases()
    holder = leases.open()
    consumer = queue.consumer(holder, ["mails"])
    first, second = consumer.turn(2, []).jobs
    consumer.locks().acquire("the lock: ü", job_id(9), None)
    consumer.mark(None, second.id)
    assert consumer.park(second, "the lock: ü")
    found = {job["id"]: job for job in listed(run)}
    assert {job["state"] for job in found.values()} == {"ready", "delayed", "reserved", "parked"}
    assert found[first.id]["place"] == holder
    assert found[second.id]["place"] == "the lock: ü"
    assert 0 < found[job_id(4)]["due_in"] <= 60
    assert found[job_id(3)]["job"] == "Mail"
    assert found[job_id(3)]["payload"]["data"] == {"n": 3}
    assert [job["id"] for job in listed(run, "--state", "ready")] == [job_id(3)]
    shown = run("jobs", "mails").output
    assert "lane the lock: ü" in shown and f"worker {holder}" in shown
    consumer.close()
    leases.close()


def test_jobs_are_shown_page_by_page_with_their_counters(run: Run, queue: RedisQueue) -> None:
    push(queue, *range(1, 8))
    pages = [listed(run, "--limit", "3", "--skip", str(skip)) for skip in (0, 3, 6, 9)]
    assert [[job["id"] for job in page] for page in pages] == [
        [job_id(n) for n in numbers] for numbers in ((1, 2, 3), (4, 5, 6), (7,), ())
    ]
    leases = queue.leases()
    consumer = queue.consumer(leases.open(), ["mails"])
    [job] = consumer.turn(1, []).jobs
    consumer.mark(None, job.id)
    consumer.release(job, 30, attempts=2, exceptions=1)
    [released] = listed(run, "--state", "delayed")
    assert (released["attempts"], released["exceptions"]) == (2, 1)
    consumer.close()
    leases.close()


def test_a_queue_nobody_knows_is_told(run: Run, queue: RedisQueue) -> None:
    push(queue, 1)
    result = run("jobs", "mail")
    assert result.exit_code == 1
    assert "has no queue 'mail', did you mean 'mails'?" in result.output
    assert run("jobs", "x", "--connection", "sync").exit_code == 1
    assert run("jobs").output == "No jobs on queue 'default' of 'redis'.\n"


def test_locks_are_shown_and_orphans_told(run: Run, queue: RedisQueue) -> None:
    """B7."""
    assert run("locks").output == "No locks.\n"
    push(queue, 1)
    leases = queue.leases()
    holder = leases.open()
    consumer = queue.consumer(holder, ["mails"])
    consumer.turn(1, [])
    assert consumer.locks().acquire("refund 7", job_id(1), 60)
    [lock] = json.loads(run("locks", "--json").output)
    assert (lock["name"], lock["owner"], lock["orphaned"]) == ("refund 7", job_id(1), False)
    assert 0 < lock["expires"] <= 60
    orphans = run("locks", "redis", "--orphans")
    assert (orphans.exit_code, orphans.output) == (0, "No orphaned locks.\n")
    queue.time_offset = 61
    orphans = run("locks", "--orphans")
    assert orphans.exit_code == 1
    assert "refund 7" in orphans.output
    queue.time_offset = 0
    consumer.close()
    leases.bury(holder, Burial("exit"))
    leases.close()
    assert run("locks", "--orphans").exit_code == 0
    assert run("locks", "sync").exit_code == 1


def test_a_waiting_job_is_removed_by_its_id(run: Run, queue: RedisQueue) -> None:
    push(queue, 1, 2)
    result = run("forget-waiting", job_id(1), "abc")
    assert result.exit_code == 1
    assert "1 job removed from 'redis'." in result.output
    assert "No job 'abc' waits on 'redis'." in result.output
    assert [job["id"] for job in listed(run)] == [job_id(2)]
    assert run("forget-waiting", job_id(1), "--connection", "sync").exit_code == 1
