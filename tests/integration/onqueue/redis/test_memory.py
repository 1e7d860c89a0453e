"""A waiting job takes little more of the broker's memory than its payload."""

import pytest

from onqueue.contracts import Burial
from support.redis_rig import Rig, message

JOBS = 20_000
MOST_EXTRA = 200


@pytest.mark.parametrize("size", [80, 300, 1500])
def test_a_waiting_job_takes_its_payload_and_at_most_200_bytes(broker: Rig, size: int) -> None:
    payload = b"x" * size
    before = int(broker.client.info("memory")["used_memory"])
    for _ in range(JOBS // 5000):
        broker.queue.push_many([message(payload=payload) for _ in range(5000)])
    used = int(broker.client.info("memory")["used_memory"]) - before
    assert used / JOBS <= size + MOST_EXTRA
    keys = broker.client.keys("{onqueue:redis}:*")
    assert sum(broker.client.memory_usage(key, samples=0) or 0 for key in keys) / JOBS <= (
        size + MOST_EXTRA
    )


def test_an_ended_job_leaves_nothing_behind(broker: Rig) -> None:
    """C90."""
    broker.push(500)
    broker.push(5, delay=1.0)
    broker.queue.time_offset = 2.0
    consumer = broker.consumer()
    done: list[str] = []
    while jobs := consumer.turn(100, done).jobs:
        done = [job.id for job in jobs]
    broker.leases.bury(consumer.holder, Burial("exit"))
    assert set(broker.dump()) == {b"{onqueue:redis}:queues"}
    assert all(broker.client.ttl(key) > 0 for key in broker.client.keys("*:pusher:*"))


def test_what_a_long_trip_holds_is_found_without_a_search(broker: Rig) -> None:
    """A short hash is searched from end to end, for each job of a trip of a hundred."""
    ids = broker.push(128)
    consumer = broker.consumer()
    consumer.turn(128, [])
    held = f"{{onqueue:redis}}:held:{consumer.holder}"
    assert broker.client.object("encoding", held) == b"hashtable"
    assert set(broker.client.hkeys(held)) == {job_id.encode() for job_id in ids}
