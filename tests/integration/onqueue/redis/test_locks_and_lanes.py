"""Jobs parked for a lock come back one by one, in order, and none is forgotten."""

import pytest

from onqueue.contracts import Burial
from onqueue.errors import LeaseLost
from support.redis_rig import Rig


def test_a_newcomer_cannot_overtake_the_job_a_lock_is_promised_to(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    owner, parked = broker.start(consumer), broker.start(consumer)
    assert consumer.locks().acquire("k", owner.id, None)
    assert consumer.park(parked, "k") is True
    newcomer = broker.start(other)
    assert consumer.locks().release("k", owner.id) is True
    assert other.locks().acquire("k", newcomer.id, None) is False
    assert other.park(newcomer, "k") is True
    (woken,) = other.turn(2, []).jobs
    assert woken.id == parked.id
    assert other.park(woken, "k") is False
    assert other.locks().acquire("k", woken.id, None) is True


def test_a_chain_of_parked_jobs_runs_to_its_end(broker: Rig) -> None:
    consumer = broker.consumer()
    ids = broker.push(5)
    jobs = consumer.turn(5, []).jobs
    assert consumer.locks().acquire("k", ids[0], None)
    for job in jobs[1:]:
        assert consumer.park(job, "k") is True
    current, ran = jobs[0], [ids[0]]
    while True:
        consumer.locks().release("k", current.id)
        taken = consumer.turn(1, [current.id]).jobs
        if not taken:
            break
        (current,) = taken
        assert consumer.locks().acquire("k", current.id, None)
        ran.append(current.id)
    assert ran == ids
    assert [key for key in broker.dump() if b"park" in key or b"lock" in key] == []


def test_the_lock_of_a_dead_holder_goes_to_the_first_parked_job(broker: Rig) -> None:
    """C53."""
    dying, consumer = broker.consumer(), broker.consumer()
    owner = broker.start(dying)
    dying.locks().acquire("k", owner.id, None)
    job = broker.start(consumer)
    assert consumer.park(job, "k") is True
    broker.leases.bury(dying.holder, Burial("lapsed"))
    back = consumer.turn(2, []).jobs
    assert {one.id for one in back} == {owner.id, job.id}
    assert consumer.locks().acquire("k", owner.id, None) is False
    assert consumer.locks().acquire("k", job.id, None) is True


def test_a_job_that_ends_without_giving_its_lock_back_loses_it_with_its_confirmation(
    broker: Rig,
) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    for end in ("turn", "ack", "release"):
        job = broker.start(consumer)
        assert consumer.locks().acquire("k", job.id, None)
        if end == "turn":
            consumer.turn(0, [job.id])
        elif end == "ack":
            consumer.ack(job)
        else:
            consumer.release(job, 60.0, attempts=1, exceptions=0)
        assert other.locks().acquire("k", "f" * 32, None) is True
        assert other.locks().release("k", "f" * 32) is True


def test_a_lock_lapses_after_its_time_and_the_reaper_wakes_who_waits(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    owner = broker.start(consumer)
    assert consumer.locks().acquire("k", owner.id, 5.0)
    job = broker.start(other)
    assert other.park(job, "k") is True
    broker.queue.time_offset = 4.0
    broker.leases.reap()
    assert broker.queue.size("default").parked == 1
    broker.queue.time_offset = 6.0
    broker.leases.reap()
    assert [one.id for one in other.turn(1, []).jobs] == [job.id]
    assert consumer.locks().release("k", owner.id) is False


def test_a_promise_to_a_job_that_is_gone_holds_nobody_up(broker: Rig) -> None:
    consumer = broker.consumer()
    owner = broker.start(consumer)
    consumer.locks().acquire("k", owner.id, None)
    jobs = [broker.start(consumer) for _ in range(2)]
    for job in jobs:
        assert consumer.park(job, "k")
    consumer.locks().release("k", owner.id)
    assert broker.queue.forget(jobs[0].id) is True
    broker.leases.reap()
    (next_one,) = consumer.turn(1, []).jobs
    assert next_one.id == jobs[1].id
    assert consumer.locks().acquire("k", next_one.id, None) is True


def test_a_parked_job_that_was_forgotten_or_cleared_is_passed_over(broker: Rig) -> None:
    consumer = broker.consumer()
    owner = broker.start(consumer)
    consumer.locks().acquire("k", owner.id, None)
    first, second = broker.start(consumer), broker.start(consumer)
    for job in (first, second):
        assert consumer.park(job, "k")
    assert broker.queue.forget(first.id) is True
    assert broker.queue.size("default").parked == 1
    consumer.locks().release("k", owner.id)
    assert [job.id for job in consumer.turn(1, []).jobs] == [second.id]


def test_clearing_takes_parked_jobs_and_leaves_reserved_ones(broker: Rig) -> None:
    """C36."""
    consumer = broker.consumer()
    owner = broker.start(consumer)
    consumer.locks().acquire("k", owner.id, None)
    assert consumer.park(broker.start(consumer), "k")
    broker.push(450)
    broker.push(3, delay=60.0)
    assert broker.queue.clear("default") == 454
    size = broker.queue.size("default")
    assert (size.total, size.reserved) == (1, 1)
    assert consumer.ack(owner) is True
    assert b"{onqueue:redis}:payloads" not in broker.dump()


def test_unknown_jobs_wait_untouched_until_they_are_replayed(broker: Rig) -> None:
    consumer = broker.consumer()
    for name in ("Gone", "Gone", "Much newer %\n"):
        assert consumer.park(broker.start(consumer), f"unknown:{name}") is True
    broker.leases.reap()
    assert broker.queue.unknown() == {"Gone": 2, "Much newer %\n": 1}
    assert broker.queue.size("default").parked == 3
    assert broker.queue.replay_unknown("Gone") == 2
    assert broker.queue.replay_unknown("Nobody") == 0
    assert broker.queue.replay_unknown() == 1
    assert broker.queue.unknown() == {}
    assert [job.attempts for job in consumer.turn(5, []).jobs] == [0, 0, 0]


def test_parking_and_locking_after_the_lease_say_so(broker: Rig) -> None:
    consumer = broker.consumer()
    job = broker.start(consumer)
    broker.leases.bury(consumer.holder, Burial("exit"))
    with pytest.raises(LeaseLost):
        consumer.park(job, "k")
    with pytest.raises(LeaseLost):
        consumer.locks().acquire("k", job.id, None)
    assert consumer.locks().release("k", job.id) is False


def test_a_pause_with_an_end_ends_by_itself_and_is_the_next_thing_due(broker: Rig) -> None:
    """C27."""
    consumer = broker.consumer()
    broker.push(1)
    seconds, _ = broker.client.time()
    broker.queue.pause("default", "maintenance", until=seconds + 30)
    turn = consumer.turn(1, [])
    assert turn.jobs == []
    assert turn.next_due == pytest.approx(30, abs=2)
    broker.queue.time_offset = 31.0
    assert broker.queue.paused() == {}
    assert len(consumer.turn(1, []).jobs) == 1
