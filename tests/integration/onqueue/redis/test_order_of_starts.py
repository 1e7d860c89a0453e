"""What a holder of one thread keeps about the order of its jobs stays as short as what it holds."""

from collections.abc import Callable

import pytest

from onqueue.contracts import Burial, ReservedJob
from onqueue.drivers.redis.consumer import RedisConsumer
from support.redis_rig import Rig

ENDS: dict[str, Callable[[RedisConsumer, ReservedJob], object]] = {
    "release": lambda consumer, job: consumer.release(job, 60.0, attempts=1, exceptions=0),
    "snooze": lambda consumer, job: consumer.release(job, 0.0, attempts=0, exceptions=0),
    "fail": lambda consumer, job: consumer.fail(job),
    "park": lambda consumer, job: consumer.park(job, "unknown:gone"),
    "skip": lambda consumer, job: consumer.ack(job, "skipped"),
}


def kept(broker: Rig, consumer: RedisConsumer) -> int:
    """Return how many entries the order of a consumer's jobs has."""
    return int(broker.client.llen(consumer._of.unfinished.split(b"\r\n")[1]))


def start(consumer: RedisConsumer, jobs: list[ReservedJob]) -> None:
    """Start jobs one after the other."""
    for job in jobs:
        consumer.mark(None, job.id)


@pytest.mark.parametrize("end", ENDS)
def test_trips_whose_jobs_all_end_by_themselves_leave_no_order_behind(
    broker: Rig, end: str
) -> None:
    consumer = broker.consumer()
    broker.push(60)
    for _ in range(20):
        for job in consumer.turn(3, []).jobs:
            consumer.mark(None, job.id)
            assert kept(broker, consumer) == 1
            ENDS[end](consumer, job)
        assert kept(broker, consumer) == 0


def test_a_burial_after_many_such_trips_knows_what_was_in_flight(broker: Rig) -> None:
    consumer = broker.consumer()
    ids = broker.push(303)
    for _ in range(100):
        for job in consumer.turn(3, []).jobs:
            consumer.mark(None, job.id)
            consumer.release(job, 60.0, attempts=1, exceptions=0)
    start(consumer, consumer.turn(3, []).jobs[:2])
    broker.arrive(consumer)
    assert kept(broker, consumer) == 1
    assert [job.id for job in broker.leases.bury(consumer.holder, Burial("death"))] == [ids[301]]
    assert broker.queue.knows(ids[300:]) == set(ids[301:])


def test_nothing_is_in_flight_between_a_job_that_was_given_back_and_the_next(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    ids = broker.push(3)
    jobs = consumer.turn(3, []).jobs
    start(consumer, jobs[:2])
    consumer.release(jobs[1], 60.0, attempts=1, exceptions=0)
    assert broker.leases.bury(consumer.holder, Burial("death")) == []
    assert broker.queue.knows(ids) == set(ids[1:])
    assert [(job.id, job.attempts) for job in other.turn(9, []).jobs] == [(ids[2], 0)]


def test_ends_of_both_kinds_and_jobs_that_go_back_keep_the_order_right(broker: Rig) -> None:
    consumer = broker.consumer()
    broker.push(4)
    for _ in range(12):
        first, second, *rest = consumer.turn(4, []).jobs
        start(consumer, [first, second])
        consumer.release(second, 0.0, attempts=0, exceptions=0)
        consumer.give_back([job.id for job in rest])
        consumer.turn(0, [first.id])
        broker.push(1)
    assert kept(broker, consumer) == 0


def test_the_order_of_trips_of_which_something_stays_held_does_not_add_up(broker: Rig) -> None:
    consumer = broker.consumer()
    ids = broker.push(62)
    [stays] = consumer.turn(1, []).jobs
    consumer.mark(None, stays.id)
    done: list[str] = []
    for _ in range(20):
        jobs = consumer.turn(3, done).jobs
        done = [job.id for job in jobs]
        start(consumer, jobs)
        assert kept(broker, consumer) <= 8
    broker.arrive(consumer)
    assert [job.id for job in broker.leases.bury(consumer.holder, Burial("exit"))] == [ids[60]]
    assert stays.id == ids[0]
