"""Jobs that wait for rates and slots: in order, on time, and nothing of it is lost."""

import socket
from contextlib import nullcontext
from typing import Any

import pytest

from onqueue.contracts import Burial
from onqueue.drivers.redis.consumer import RedisConsumer
from onqueue.drivers.redis.scripts import Call
from onqueue.errors import LeaseLost
from onqueue.quotas import Quota
from support.redis_rig import Rig, admit, meet, pipe

RATE = Quota("rate", "api:60s:acme", 2, 60.0)
SLOTS = Quota("slots", "pdf:acme", 1)


def run_all(consumer: RedisConsumer, *quotas: Quota) -> list[str]:
    """Work until nothing is handed out; return who went on, in order."""
    ran: list[str] = []
    while jobs := consumer.turn(10, []).jobs:
        for job in jobs:
            assert job.attempts == 0
            if meet(consumer, job, *quotas):
                ran.append(job.id)
                consumer.ack(job)
    return ran


def left(broker: Rig) -> list[bytes]:
    """Return the keys of this part that are still there."""
    words = (b"lane", b"timers", b"waiters", b"slots", b"parked", b"granted")
    return [key for key in broker.dump() if any(word in key for word in words)]


def test_each_window_lets_its_number_through_in_order(broker: Rig) -> None:
    """C54, B4."""
    consumer = broker.consumer()
    ids = broker.push(5)
    assert run_all(consumer, RATE) == ids[:2]
    assert broker.queue.size("default").parked == 3
    assert consumer.turn(1, []).next_due == pytest.approx(60, abs=1)
    broker.queue.time_offset = 59.0
    assert consumer.turn(1, []).jobs == []
    broker.queue.time_offset = 60.5
    assert run_all(consumer, RATE) == ids[2:4]
    broker.queue.time_offset = 121.0
    assert run_all(consumer, RATE) == ids[4:]
    assert broker.queue.size("default").total == 0
    assert left(broker) == []


def test_a_newcomer_queues_up_behind_those_that_wait(broker: Rig) -> None:
    consumer = broker.consumer()
    ids = broker.push(3)
    run_all(consumer, RATE)
    late = broker.push(1)
    broker.queue.time_offset = 61.0
    jobs = consumer.turn(1, []).jobs + consumer.turn(1, []).jobs
    order = [job.id for job in sorted(jobs, key=lambda job: job.id == late[0])]
    assert order == [ids[2], late[0]]
    newcomer = next(job for job in jobs if job.id == late[0])
    assert admit(consumer, newcomer, RATE) is None, "nobody waits any more, and there is room"


def test_a_newcomer_does_not_overtake_while_the_lane_is_not_empty(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer("other")
    broker.push(4)
    run_all(consumer, RATE)
    broker.queue.time_offset = 61.0
    broker.push(1, "other")
    (elsewhere,) = other.turn(1, []).jobs
    assert admit(other, elsewhere, RATE) is None, "another queue has a lane of its own"
    late = broker.push(1)[0]
    seen = []
    while jobs := consumer.turn(1, []).jobs:
        if meet(consumer, jobs[0], RATE):
            seen.append(jobs[0].id)
    assert late not in seen
    assert len(seen) == 1


def test_other_keys_are_not_affected(broker: Rig) -> None:
    """B4."""
    consumer = broker.consumer()
    broker.push(3)
    run_all(consumer, RATE)
    (other,) = broker.push(1)
    (job,) = consumer.turn(1, []).jobs
    assert job.id == other
    assert meet(consumer, job, Quota("rate", "api:60s:globex", 2, 60.0))


def test_several_limits_are_used_together_or_not_at_all(broker: Rig) -> None:
    """C54."""
    consumer = broker.consumer()
    narrow, wide = Quota("rate", "n", 1, 60.0), Quota("rate", "w", 3, 60.0)
    ids = broker.push(4)
    jobs = consumer.turn(4, []).jobs
    assert [admit(consumer, job, wide, narrow) is None for job in jobs] == [True] + [False] * 3
    assert [admit(consumer, job, wide) is None for job in jobs[1:]] == [True, True, False]
    assert [job.id for job in jobs] == ids


def test_a_slot_is_free_again_when_it_is_given_back(broker: Rig) -> None:
    """B4."""
    consumer, other = broker.consumer(), broker.consumer()
    ids = broker.push(3)
    first, second, third = consumer.turn(3, []).jobs
    assert meet(consumer, first, SLOTS)
    assert not meet(consumer, second, SLOTS)
    assert not meet(consumer, third, SLOTS)
    turn = other.turn(1, [])
    assert (turn.jobs, turn.next_due) == ([], None)
    consumer.limits().free([SLOTS], first.id)
    (woken,) = other.turn(5, []).jobs
    assert woken.id == ids[1]
    assert admit(other, woken, SLOTS) is None
    other.limits().free([SLOTS], woken.id)
    other.ack(woken)
    assert run_all(consumer, SLOTS) == [ids[2]]
    consumer.turn(0, [first.id])
    assert left(broker) == []


@pytest.mark.parametrize("trip", ["turn", "admit", "settle", "leave"])
def test_the_slot_of_a_thread_s_job_that_ends_goes_with_any_next_trip(
    broker: Rig, trip: str
) -> None:
    """B4."""
    consumer, other = broker.consumer(), broker.consumer()
    consumer.share(nullcontext())
    broker.push(3)
    first, second, third = consumer.turn(3, []).jobs
    assert meet(consumer, first, SLOTS)
    assert not meet(consumer, third, SLOTS)
    consumer.limits().free_at_end([SLOTS], first.id)
    assert other.turn(1, []).jobs == []
    assert len(consumer.owed) == 1
    if trip == "turn":
        consumer.turn(0, [first.id])
    elif trip == "admit":
        assert admit(consumer, second, RATE) is None
    elif trip == "settle":
        assert consumer.ack(second)
    else:
        consumer.leave()
    assert not consumer.owed
    assert [job.id for job in other.turn(5, []).jobs] == [third.id]


def test_a_thread_s_job_may_end_while_the_slots_of_others_are_on_their_way_back(
    broker: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B4."""
    consumer = broker.consumer()
    consumer.share(nullcontext())
    three = Quota("slots", "three", 3)
    first, second, third = (broker.start(consumer) for _ in range(3))
    for job in (first, second, third):
        assert admit(consumer, job, three) is None
    limits, late = consumer.limits(), [third]
    for job in (first, second):
        limits.free_at_end([three], job.id)
    pack = consumer._limits.scripts.free_slots

    def pack_while_another_ends(*given: Any) -> Call:
        while late:
            limits.free_at_end([three], late.pop().id)
        return pack(*given)

    monkeypatch.setattr(consumer._limits.scripts, "free_slots", pack_while_another_ends)
    consumer.turn(0, [first.id, second.id])
    assert len(consumer.owed) == 1
    consumer.turn(0, [third.id])
    assert not consumer.owed
    assert left(broker) == []


def test_a_slot_that_was_to_go_back_is_not_taken_from_the_next_run_of_its_job(broker: Rig) -> None:
    consumer = broker.consumer()
    consumer.share(nullcontext())
    job, other = broker.start(consumer), broker.start(consumer)
    assert admit(consumer, job, SLOTS) is None
    consumer.limits().free_at_end([SLOTS], job.id)
    consumer.release(job, 0.0, attempts=1, exceptions=0)
    [again] = consumer.turn(1, []).jobs
    assert (again.id, admit(consumer, again, SLOTS)) == (job.id, None)
    consumer.turn(0, [])
    assert admit(consumer, other, SLOTS) == float("inf")


def test_a_slot_that_was_to_go_back_goes_when_the_line_breaks(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    consumer.share(nullcontext())
    job = broker.start(consumer)
    assert admit(consumer, job, SLOTS) is None
    consumer.limits().free_at_end([SLOTS], job.id)
    consumer._line.open()._sock.shutdown(socket.SHUT_RDWR)
    consumer.turn(0, [job.id])
    assert not consumer.owed
    assert admit(other, broker.start(other), SLOTS) is None


def test_several_jobs_are_asked_for_in_one_trip_and_in_their_order(broker: Rig) -> None:
    """B4."""
    consumer = broker.consumer()
    broker.push(8)
    jobs = consumer.turn(8, []).jobs
    two = Quota("slots", "two", 2)
    asked: list[tuple[list[Quota], str, str]] = [([two], job.id, job.queue) for job in jobs[:4]]
    asked += [([RATE], job.id, job.queue) for job in jobs[4:]]
    shut = pytest.approx(60, abs=1)
    waits = consumer._limits.admit_all(asked)
    assert waits == [None, None, float("inf"), float("inf"), None, None, shut, shut]
    broker.leases.bury(consumer.holder, Burial("lapsed"))
    with pytest.raises(LeaseLost):
        consumer._limits.admit_all(asked)


def test_a_job_that_ends_without_giving_its_slot_back_loses_it(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    for end in ("turn", "ack", "release"):
        job = broker.start(consumer)
        assert admit(consumer, job, SLOTS) is None
        if end == "turn":
            consumer.turn(0, [job.id])
        elif end == "ack":
            consumer.ack(job)
        else:
            consumer.release(job, 60.0, attempts=1, exceptions=0)
        probe = broker.start(other)
        assert admit(other, probe, SLOTS) is None, end
        other.ack(probe)


@pytest.mark.parametrize("end", ["turn", "ack", "release"])
def test_a_job_that_came_with_its_slot_and_never_asked_for_it_gives_it_back(
    broker: Rig, end: str
) -> None:
    """A cancelled or an expired job, say: it ends before its middleware."""
    consumer = broker.consumer()
    ids = broker.push(3)
    first, second, third = consumer.turn(3, []).jobs
    assert meet(consumer, first, SLOTS)
    consumer.wait_turn(second, [SLOTS])
    consumer.wait_turn(third, [SLOTS])
    consumer.ack(first)
    (unasked,) = consumer.turn(3, []).jobs
    assert unasked.id == ids[1]
    if end == "turn":
        consumer.turn(0, [unasked.id])
    elif end == "ack":
        consumer.ack(unasked, "cancelled")
    else:
        consumer.release(unasked, 60.0, attempts=1, exceptions=0)
    assert run_all(consumer, SLOTS) == [ids[2]]


def test_a_job_given_back_keeps_the_slot_it_came_with(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    broker.push(2)
    first, second = consumer.turn(2, []).jobs
    assert meet(consumer, first, SLOTS)
    consumer.wait_turn(second, [SLOTS])
    consumer.ack(first)
    (came,) = consumer.turn(1, []).jobs
    consumer.give_back([came.id])
    consumer.turn(0, [])
    newcomer = broker.start(other)
    assert newcomer.id == came.id
    assert admit(other, newcomer, SLOTS) is None
    assert admit(other, broker.start(other), SLOTS) == float("inf")


def test_the_slots_of_a_dead_holder_go_to_those_who_wait(broker: Rig) -> None:
    """B4."""
    dying, consumer = broker.consumer(), broker.consumer()
    held = broker.start(dying)
    assert meet(dying, held, SLOTS)
    waiting = broker.start(consumer)
    assert not meet(consumer, waiting, SLOTS)
    broker.leases.bury(dying.holder, Burial("lapsed"))
    back = []
    while jobs := consumer.turn(1, []).jobs:
        back += jobs
    assert {job.id for job in back} == {held.id, waiting.id}
    by_id = {job.id: job for job in back}
    assert admit(consumer, by_id[held.id], SLOTS) == float("inf")
    assert admit(consumer, by_id[waiting.id], SLOTS) is None


def test_what_was_granted_survives_the_death_of_the_one_who_fetched_it(broker: Rig) -> None:
    dying, consumer = broker.consumer(), broker.consumer()
    ids = broker.push(4)
    run_all(consumer, RATE)
    broker.queue.time_offset = 61.0
    assert [job.id for job in dying.turn(1, []).jobs] == ids[2:3]
    broker.leases.bury(dying.holder, Burial("lapsed"))
    broker.queue.time_offset = 62.0
    assert sorted(run_all(consumer, RATE)) == sorted(ids[2:]), (
        "it used its place in the window once"
    )


def test_who_comes_too_late_for_what_it_was_granted_waits_in_front(broker: Rig) -> None:
    one = Quota("rate", "one", 1, 60.0)
    dying, consumer = broker.consumer(), broker.consumer()
    ids = broker.push(4)
    assert run_all(consumer, one) == ids[:1]
    broker.queue.time_offset = 61.0
    (fetched,) = dying.turn(1, []).jobs
    assert fetched.id == ids[1]
    broker.leases.bury(dying.holder, Burial("lapsed"))
    ran = []
    for seconds in (130.0, 191.0, 252.0, 313.0):
        broker.queue.time_offset = seconds
        ran += run_all(consumer, one)
    assert (sorted(ran), ran[-1]) == (sorted(ids[1:]), ids[3])


def test_a_window_is_not_used_by_a_queue_that_nobody_serves(broker: Rig) -> None:
    consumer, other = broker.consumer("low"), broker.consumer()
    low = broker.push(3, "low")
    run_all(consumer, RATE)
    broker.push(2)
    for seconds in (61.0, 122.0, 183.0):
        broker.queue.time_offset = seconds
        assert other.turn(1, []).next_due is None or broker.queue.size("default").ready >= 0
    broker.queue.time_offset = 244.0
    assert run_all(consumer, RATE) == low[2:]


def test_faults_close_for_all_until_their_window_is_over(broker: Rig) -> None:
    """C55."""
    faults = Quota("faults", "class:Charge:600s", 2, 600.0)
    consumer = broker.consumer()
    job = broker.start(consumer)
    limits = consumer.limits()
    limits.hit(faults)
    assert admit(consumer, job, faults) is None
    limits.hit(faults)
    assert admit(consumer, job, faults) == pytest.approx(600, abs=1)
    limits.clear(faults)
    assert admit(consumer, job, faults) is None
    limits.hit(faults)
    limits.hit(faults)
    consumer.wait_turn(job, [faults])
    broker.queue.time_offset = 601.0
    (again,) = consumer.turn(1, []).jobs
    assert (again.id, admit(consumer, again, faults)) == (job.id, None)


def test_what_a_job_waits_for_can_be_read(broker: Rig) -> None:
    consumer = broker.consumer()
    job = broker.start(consumer)
    consumer.wait_turn(job, [RATE, Quota("pause", "j:Send mail")])
    (parked,) = broker.queue.inspection().jobs("default", "parked")
    assert (parked.id, parked.place) == (job.id, "rate api:60s:acme pause j:Send mail")


def test_clearing_and_forgetting_take_those_who_wait(broker: Rig) -> None:
    consumer = broker.consumer()
    ids = broker.push(6)
    run_all(consumer, RATE)
    assert broker.queue.forget(ids[2]) is True
    assert broker.queue.size("default").parked == 3
    broker.queue.time_offset = 61.0
    assert consumer.turn(1, []).jobs[0].id == ids[3]
    assert broker.queue.clear("default") == 2
    assert broker.queue.size("default").parked == 0
    broker.leases.reap()
    assert [key for key in left(broker) if b"lane" in key or b"timers" in key] == []


def test_an_idle_worker_is_told_when_the_next_may_go_on(broker: Rig) -> None:
    consumer, idle = broker.consumer(), broker.consumer()
    soon = Quota("rate", "soon", 1, 60.0)
    broker.push(2)
    first, second = consumer.turn(2, []).jobs
    with pipe() as (reader, _):
        assert idle.turn(1, []).next_due is None
        assert meet(consumer, first, soon)
        assert not meet(consumer, second, soon)
        idle.wait(5.0, reader)
        turn = idle.turn(1, [])
        assert turn.jobs == []
        assert turn.next_due is not None
        assert 0 < turn.next_due <= 60.0
        broker.queue.time_offset = turn.next_due
        assert [job.id for job in idle.turn(1, []).jobs] == [second.id]


def test_the_reaper_sets_a_timer_that_was_lost(broker: Rig) -> None:
    consumer = broker.consumer()
    ids = broker.push(3)
    run_all(consumer, RATE)
    broker.client.delete("{onqueue:redis}:timers:default")
    assert consumer.turn(1, []).next_due is None
    broker.leases.reap()
    broker.queue.time_offset = 61.0
    assert run_all(consumer, RATE) == ids[2:]


def test_waiting_after_the_lease_says_so(broker: Rig) -> None:
    consumer = broker.consumer()
    job = broker.start(consumer)
    broker.leases.bury(consumer.holder, Burial("exit"))
    with pytest.raises(LeaseLost):
        admit(consumer, job, RATE)
    with pytest.raises(LeaseLost):
        consumer.wait_turn(job, [RATE])
