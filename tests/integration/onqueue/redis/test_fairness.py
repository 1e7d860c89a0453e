"""Tenants that share one queue: whoever waits behind ten thousand jobs of another starts soon."""

from collections import Counter
from collections.abc import Iterator
from secrets import token_hex

import pytest

from onqueue.contracts import Burial, Message, Tie
from onqueue.drivers.redis import RedisQueue
from support.redis_rig import Rig

QUEUE = "default"


@pytest.fixture
def rig(redis_url: str) -> Iterator[Rig]:
    rig = Rig(redis_url)
    yield rig
    rig.close()


def of(tenant: str, weight: int = 1, *, delay: float = 0.0) -> Message:
    """Return a job of a tenant; its payload names it."""
    return Message(
        id=token_hex(16),
        queue=QUEUE,
        payload=tenant.encode(),
        delay=delay,
        tie=Tie(fair=tenant, weight=weight) if tenant else None,
    )


def work(queue: RedisQueue, jobs: int, want: int = 16) -> list[str]:
    """Return whose jobs are handed out, in order; they succeed."""
    holder = queue.leases().open()
    consumer = queue.consumer(holder, [QUEUE])
    order: list[str] = []
    done: list[str] = []
    while len(order) < jobs:
        turn = consumer.turn(min(want, jobs - len(order)), done)
        if not turn.jobs:
            break
        order += [job.payload.decode() for job in turn.jobs]
        done = [job.id for job in turn.jobs]
    consumer.turn(0, done)
    return order


def test_one_job_behind_ten_thousand_of_another_starts_within_sixteen(rig: Rig) -> None:
    """B3."""
    queue = rig.queue
    queue.push_many([of("A") for _ in range(10_000)])
    holder = queue.leases().open()
    consumer = queue.consumer(holder, [QUEUE])
    reserved = consumer.turn(128, [])
    queue.push(of("B"))
    after = consumer.turn(128, [job.id for job in reserved.jobs])
    started = [job.payload for job in (*reserved.jobs, *after.jobs)]
    assert started.index(b"B") < 16
    assert queue.size(QUEUE).total == 10_001 - len(reserved.jobs)


def test_weights_are_shares(rig: Rig) -> None:
    """B3."""
    rig.queue.push_many([of("heavy", 3) for _ in range(400)] + [of("light") for _ in range(400)])
    shares = Counter(work(rig.queue, 400))
    assert shares == {"heavy": 300, "light": 100}


def test_a_lanes_jobs_stay_in_order_and_all_are_handed_out_once(rig: Rig) -> None:
    messages = [of(tenant) for _ in range(30) for tenant in "abc"]
    rig.queue.push_many(messages)
    holder = rig.queue.leases().open()
    consumer = rig.queue.consumer(holder, [QUEUE])
    seen: list[str] = []
    while turn := consumer.turn(7, seen[-7:]).jobs:
        seen += [job.id for job in turn]
    assert sorted(seen) == sorted(message.id for message in messages)
    for tenant in "abc":
        own = [one.id for one in messages if one.payload == tenant.encode()]
        assert [job_id for job_id in seen if job_id in own] == own


def test_delayed_and_released_jobs_come_back_to_their_lanes(rig: Rig) -> None:
    queue = rig.queue
    queue.push_many([of("A", delay=5.0) for _ in range(200)] + [of("B", delay=5.5)])
    queue.time_offset = 6.0
    order = work(queue, 201)
    assert order.index("B") < 130
    queue.push_many([of("A") for _ in range(20)])
    holder = queue.leases().open()
    consumer = queue.consumer(holder, [QUEUE])
    [first] = consumer.turn(1, []).jobs
    assert consumer.release(first, 0.0, attempts=1, exceptions=0)
    queue.push(of("B"))
    queue.time_offset = 7.0
    order = work(queue, 21)
    assert order.index("B") < 4
    assert order.count("A") == 20


def test_plain_jobs_and_lanes_of_one_queue_do_not_starve_each_other(rig: Rig) -> None:
    queue = rig.queue
    queue.push_many([of("") for _ in range(500)])
    queue.push_many([of("A") for _ in range(50)])
    order = work(queue, 400)
    assert order.count("A") >= 20
    assert order.count("") >= 300


def test_jobs_in_lanes_can_be_counted_seen_forgotten_and_cleared(rig: Rig) -> None:
    queue = rig.queue
    jobs = [of(tenant) for tenant in "aab"]
    queue.push_many(jobs)
    assert queue.size(QUEUE).ready == 3
    assert {job.id for job in queue.inspection().jobs(QUEUE, "ready")} == {job.id for job in jobs}
    assert queue.forget(jobs[2].id)
    assert not queue.forget(jobs[2].id)
    assert work(queue, 1) == ["a"]
    assert queue.clear(QUEUE) == 1
    assert queue.size(QUEUE).total == 0
    queue.push(of("b"))
    assert work(queue, 5) == ["b"]


def test_lanes_leave_nothing_behind(rig: Rig) -> None:
    rig.queue.push_many([of(f"tenant-{number}", 2) for number in range(50)])
    assert len(work(rig.queue, 50)) == 50
    left = [rig.client.keys(f"*:{name}*") for name in ("ring", "shares", "lane-of", "ties")]
    assert left == [[], [], [], []]


def test_an_idle_consumer_is_woken_for_a_lane_that_a_dead_one_left(rig: Rig) -> None:
    queue = rig.queue
    queue.push_many([of("A") for _ in range(40)])
    taken = rig.consumer(QUEUE).turn(128, []).jobs
    assert 0 < len(taken) < 16
    [wake] = rig.client.keys(f"*:wake:{QUEUE}")
    rig.client.delete(wake)
    rig.leases.bury(rig.leases.open(), Burial("exit"))
    assert rig.client.exists(wake)
