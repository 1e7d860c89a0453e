"""Places of a rate that one trip takes for the jobs that come next: used, kept, given back."""

from typing import Any

from onqueue.clock import SystemClock
from onqueue.quotas import Quota
from support.redis_rig import Rig, admit, meet

clock = SystemClock()
WIDE = Quota("rate", "wide:60s:", 80, 60.0)


def hits(broker: Rig) -> int:
    """Return how much of the window is used."""
    return int((broker.client.get("{onqueue:redis}:quota:r:wide:60s:") or b"0 0").split()[1])


def trips(broker: Rig) -> int:
    """Return how many scripts the server has run."""
    stats: Any = broker.client.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


def test_one_trip_asks_for_the_jobs_that_come_next_too_and_gives_back_what_was_too_much(
    broker: Rig,
) -> None:
    consumer = broker.consumer()
    broker.push(6)
    jobs = consumer.turn(6, []).jobs
    consumer.mark(None, jobs[0].id)
    assert admit(consumer, jobs[0], WIDE) is None
    assert hits(broker) == 10, "an eighth of what is left, at most, is set aside"
    for job in jobs[1:4]:
        consumer.mark(None, job.id)
        assert admit(consumer, job, WIDE) is None
    consumer.turn(0, [job.id for job in jobs[:2]])
    assert hits(broker) == 10, "no trip was needed, and those that are held still come"
    consumer.give_back([job.id for job in jobs[4:]])
    consumer.turn(0, [job.id for job in jobs[2:4]])
    assert hits(broker) == 4


def test_what_was_set_aside_lasts_for_the_next_trips_and_ends_when_they_do_not_need_it(
    broker: Rig,
) -> None:
    consumer = broker.consumer()
    broker.push(12)
    jobs = consumer.turn(4, []).jobs
    for job in jobs:
        consumer.mark(None, job.id)
        assert admit(consumer, job, WIDE) is None
    assert hits(broker) == 10
    again = consumer.turn(4, [job.id for job in jobs]).jobs
    for job in again:
        consumer.mark(None, job.id)
        assert admit(consumer, job, WIDE) is None
    assert hits(broker) == 10, "the second trip had its places already"
    others = consumer.turn(2, [job.id for job in again]).jobs
    consumer.turn(2, [job.id for job in others])
    assert hits(broker) == 8, "a trip took none of them"


def test_places_in_a_window_are_no_places_in_a_moving_one(broker: Rig) -> None:
    moving = Quota("moving", WIDE.key, WIDE.most, WIDE.span)
    consumer = broker.consumer()
    broker.push(2)
    first, second = consumer.turn(2, []).jobs
    assert admit(consumer, first, WIDE) is None
    assert consumer._limits.ahead
    assert admit(consumer, second, moving) is None
    assert broker.client.llen(f"{{onqueue:redis}}:quota:m:{moving.key}") == 1


def test_a_moving_window_is_kept_whole(broker: Rig) -> None:
    """Of the newest starts as many are known as may be made, also when it is one."""
    consumer, kept = broker.consumer(), list[int]()
    for most in (1, 2, 3):
        quota = Quota("moving", f"{most}", most, 60.0)
        for _ in range(4):
            consumer.limits().hit(quota)
        kept.append(broker.client.llen(f"{{onqueue:redis}}:quota:m:{most}"))
    assert kept == [1, 2, 3]


def test_who_waits_is_called_in_for_places_that_are_given_back(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    broker.push(7)
    jobs, (late,) = consumer.turn(6, []).jobs, other.turn(1, []).jobs
    assert admit(consumer, jobs[0], WIDE) is None
    for _ in range(WIDE.most - hits(broker)):
        other.limits().hit(WIDE)
    assert meet(other, late, WIDE) is False
    assert other.turn(1, []).jobs == []
    consumer.leave()
    (called,) = other.turn(1, []).jobs
    assert (called.id, admit(other, called, WIDE)) == (late.id, None)


def test_a_consumer_that_leaves_keeps_no_places(broker: Rig) -> None:
    consumer = broker.consumer()
    broker.push(6)
    (job, *_) = consumer.turn(6, []).jobs
    assert admit(consumer, job, WIDE) is None
    assert hits(broker) == 10
    consumer.leave()
    assert hits(broker) == 1


def test_places_are_set_aside_for_as_many_as_come_by_the_worker_s_count(broker: Rig) -> None:
    consumer = broker.consumer()
    consumer.coming = lambda: 1
    broker.push(6)
    (job, *_) = consumer.turn(6, []).jobs
    assert admit(consumer, job, WIDE) is None
    assert hits(broker) == 5, "four trips like this one, of one job each"


def test_a_narrow_window_is_never_used_in_advance(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    broker.push(100)
    mine, yours = consumer.turn(50, []).jobs, other.turn(50, []).jobs
    ran = 0
    for turn in range(50):
        for holder, job in ((consumer, mine[turn]), (other, yours[turn])):
            holder.mark(None, job.id)
            ran += admit(holder, job, WIDE) is None
    assert 70 <= ran <= 80, "an eighth of what is left, at most, is set aside"
    consumer.turn(0, [])
    other.turn(0, [])
    assert hits(broker) == ran


def test_what_was_used_in_advance_ends_with_its_window(broker: Rig) -> None:
    brief = Quota("rate", "brief", 80, 0.05)
    consumer = broker.consumer()
    broker.push(6)
    jobs = consumer.turn(6, []).jobs
    assert admit(consumer, jobs[0], brief) is None
    clock.sleep(0.06)
    before = trips(broker)
    assert admit(consumer, jobs[1], brief) is None
    assert trips(broker) == before + 1, "it asked again"
    broker.queue.time_offset = 10.0
    consumer.turn(0, [])
    broker.queue.time_offset = 0.0
