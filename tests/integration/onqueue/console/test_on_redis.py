"""The queue's commands on a real broker."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from onqueue.connections import QueueManager
from onqueue.console import build_group
from onqueue.contracts import BatchPlan, Claim, Message, Tie
from onqueue.drivers.redis import RedisQueue
from onqueue.errors import UniqueJobExists
from onqueue.failed import MemoryFailedJobs
from onqueue.pushing import push_again
from onqueue.stores import FailedJob
from onqueue.testing.clock import START
from onqueue.ties import tie_part
from support.failures import fail
from support.outbox_records import job_id

Run = Callable[..., Result]


@pytest.fixture
def manager(redis_url: str) -> Iterator[QueueManager]:
    made = QueueManager(
        "redis", {"redis": {"driver": "redis", "url": redis_url}}, MemoryFailedJobs()
    )
    yield made
    made.close()


@pytest.fixture
def run(manager: QueueManager) -> Run:
    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(build_group(lambda: manager), arguments)
        assert result.exit_code == 0, result.output
        return result

    return invoke


def push(manager: QueueManager, number: int, *, delay: float = 0.0) -> None:
    assert manager.connection().push(Message(job_id(number), "mails", b"{}", delay))


def sizes(run: Run) -> dict[str, object]:
    rows = json.loads(run("size", "--queue", "mails", "--json").output)
    found: dict[str, object] = rows[0]
    return found


def test_sizes_pauses_and_clearing(run: Run, manager: QueueManager) -> None:
    push(manager, 1)
    push(manager, 2, delay=60)
    run("pause", "--queue", "mails", "--reason", "provider is down")
    found = sizes(run)
    assert (found["ready"], found["delayed"], found["paused"]) == (1, 1, "provider is down")
    run("resume", "--queue", "mails")
    run("clear", "--queue", "mails", "--force")
    found = sizes(run)
    assert (found["total"], found["paused"]) == (0, None)


def test_a_retry_is_made_once_although_the_id_was_seen_before(
    run: Run, manager: QueueManager
) -> None:
    queue = manager.connection()
    assert queue.push(Message(job_id(1), "mails", b"{}", once=60))
    run("clear", "--queue", "mails", "--force")
    for _ in range(2):
        manager.failed.record(
            FailedJob(job_id(1), "redis", "mails", "J", b"{}", "E", "e", "", 1, START)
        )
        assert run("retry", job_id(1)).output == "1 failed job put back.\n"
        assert sizes(run)["ready"] == 1
        run("clear", "--queue", "mails", "--force")


def test_a_restart_is_told_and_unknown_jobs_are_replayed(run: Run) -> None:
    """C22."""
    assert "'redis'" in run("restart").output
    assert run("replay-unknown").output == "0 parked jobs put back on 'redis'.\n"


def test_a_retry_takes_the_lock_of_a_unique_job_or_leaves_it_failed(manager: QueueManager) -> None:
    """C58: on a real broker."""
    queue = manager.connection()
    assert isinstance(queue, RedisQueue)
    tie = Tie(claim=Claim("Mail:7"))
    payload = json.dumps(
        {"v": 1, "job": "Mail", "at": 1, "t": tie_part(tie)}, separators=(",", ":")
    )
    for number in (1, 2):
        fail(manager, number, payload=payload.encode(), queue="mails")
    retry = CliRunner().invoke(build_group(lambda: manager), ["retry", "all", "--json"])
    told = json.loads(retry.output)
    assert (retry.exit_code, told["put_back"]) == (1, 1)
    [refused] = told["refused"]
    assert refused["id"] == job_id(1)
    found = manager.failed.find(job_id(1))
    assert found is not None and not found.is_retrying
    [claim] = queue.claims()
    assert (claim.key, claim.owner) == ("Mail:7", job_id(2))
    queue.clear("mails")
    assert CliRunner().invoke(build_group(lambda: manager), ["locks", "--orphans"]).exit_code == 0
    assert CliRunner().invoke(build_group(lambda: manager), ["retry", job_id(1)]).exit_code == 0
    assert manager.failed.count() == 0


def test_a_retried_member_is_awaited_by_its_batch_again(manager: QueueManager) -> None:
    """C70, C86: the same id, and the same place in the batch's ledger."""
    queue = manager.connection()
    assert isinstance(queue, RedisQueue)
    batch = "b" * 32
    tie = Tie(batch=batch)
    text = json.dumps({"v": 1, "job": "Mail", "at": 1, "t": tie_part(tie)}, separators=(",", ":"))
    member = Message(job_id(1), "mails", text.encode(), tie=tie)
    queue.start_batch(BatchPlan(batch, "mails", [member], START, allow_failures=True))
    leases = queue.leases()
    consumer = queue.consumer(leases.open(), ["mails"])
    [job] = consumer.turn(1, []).jobs
    consumer.mark(None, job.id)
    fail(manager, 1, payload=job.payload, queue="mails")
    assert consumer.fail(job)
    state = queue.batch(batch)
    assert state is not None and (state.failed, state.pending) == (1, 0)
    assert CliRunner().invoke(build_group(lambda: manager), ["retry", job_id(1)]).exit_code == 0
    state = queue.batch(batch)
    assert state is not None and (state.failed, state.pending) == (0, 1)
    consumer.close()
    leases.close()


def test_a_retry_that_its_queue_refuses_leaves_no_trace(manager: QueueManager) -> None:
    """C58, C81: neither in the job's batch, nor for its next try: also if it dies right then."""
    queue = manager.connection()
    assert isinstance(queue, RedisQueue)
    batch, claim = "b" * 32, Claim("Mail:7")
    tie = Tie(batch=batch, claim=claim)
    text = json.dumps({"v": 1, "job": "Mail", "at": 1, "t": tie_part(tie)}, separators=(",", ":"))
    member = Message(job_id(1), "mails", text.encode(), tie=tie)
    queue.start_batch(BatchPlan(batch, "mails", [member], START, allow_failures=True))
    leases = queue.leases()
    consumer = queue.consumer(leases.open(), ["mails"])
    [job] = consumer.turn(1, []).jobs
    consumer.mark(None, job.id)
    assert consumer.fail(job)
    other = Message(job_id(2), "mails", text.encode(), tie=Tie(claim=claim))
    assert queue.push_unique([other]) == [job_id(2)]
    again = replace(member, once=60.0, token="t" * 32)
    for _ in range(2):
        with pytest.raises(UniqueJobExists):
            push_again(queue, again)
    state = queue.batch(batch)
    assert state is not None and (state.failed, state.pending, state.skipped) == (1, 0, 0)
    assert queue.forget(job_id(2))
    assert push_again(queue, again)
    state = queue.batch(batch)
    assert state is not None and (state.failed, state.pending) == (0, 1)
    [again_job] = consumer.turn(1, []).jobs
    assert again_job.id == job_id(1)
    consumer.close()
    leases.close()
