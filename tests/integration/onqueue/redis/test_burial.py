"""A burial knows of each job whether it is done, was running or never started."""

from contextlib import nullcontext
from itertools import product

import pytest

from onqueue.contracts import Burial, Guilt
from onqueue.drivers.redis.consumer import RedisConsumer
from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.wire import packed
from support.redis_rig import Rig, message
from support.waiting import eventually

# how far a child came with three jobs: how many had started, and whether the last one was done
PROGRESS = [(0, False), *product((1, 2, 3), (False, True))]


@pytest.mark.parametrize("kind", ["exit", "death", "timeout", "lapsed"])
@pytest.mark.parametrize(("started", "last_done"), PROGRESS)
def test_what_is_done_ends_what_ran_spends_and_what_waited_goes_back(
    broker: Rig, kind: str, started: int, last_done: bool
) -> None:
    """K1."""
    consumer, other = broker.consumer(), broker.consumer()
    ids = broker.push(4)
    consumer.turn(3, [])
    for at in range(started):
        consumer.mark(ids[at - 1] if at else None, ids[at])
    broker.arrive(consumer)
    done = ids[: max(0, started - 1)]
    flying = ids[len(done) : started]
    if last_done and flying:
        consumer.turn(0, [*done, *flying])
        done, flying = done + flying, []
    buried = broker.leases.bury(consumer.holder, Burial(kind))  # type: ignore[arg-type]
    assert [job.id for job in buried] == flying
    back = other.turn(9, []).jobs
    # in flight first, then what had not started, then what nobody had taken
    assert [job.id for job in back] == flying + ids[started:]
    spent = 0 if kind == "exit" else 1
    assert [job.attempts for job in back] == [spent] * len(flying) + [0] * (4 - started)
    assert {job.deaths for job in back if job.id in flying} <= {int(kind == "death")}
    assert broker.queue.knows(ids) == set(ids[len(done) :])


def test_of_many_jobs_run_in_order_only_the_last_that_started_was_in_flight(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    ids = broker.push(128)
    consumer.turn(128, [])
    for at in range(120):
        consumer.mark(ids[at - 1] if at else None, ids[at])
    broker.arrive(consumer)
    buried = broker.leases.bury(consumer.holder, Burial("death"))
    assert [job.id for job in buried] == [ids[119]]
    assert broker.queue.knows(ids) == set(ids[119:])
    assert [job.id for job in other.turn(128, []).jobs] == ids[119:]
    assert [key for key in broker.dump() if consumer.holder.encode() in key] == []


def test_nothing_is_left_of_a_buried_holder(broker: Rig) -> None:
    consumer = broker.consumer()
    job = broker.start(consumer)
    consumer.locks().acquire("k", job.id, None)
    broker.leases.bury(consumer.holder, Burial("death"))
    assert [key for key in broker.dump() if consumer.holder.encode() in key] == []
    assert b"{onqueue:redis}:holders" not in broker.dump()
    assert b"{onqueue:redis}:locks" not in broker.dump()


def test_a_holder_of_many_jobs_of_many_queues_is_buried_whole_and_in_order(broker: Rig) -> None:
    names = [f"q{n}" for n in range(5)]
    for name in names:
        broker.queue.push_many([message(name, b"%d" % n) for n in range(90)])
    holder = broker.leases.open()
    for name in names:
        assert len(broker.consumer(name, holder=holder).turn(80, []).jobs) == 80
    assert broker.leases.bury(holder, Burial("lapsed")) == []
    for name in names:
        assert broker.queue.size(name).ready == 90
        back = broker.consumer(name).turn(128, []).jobs
        assert [job.payload for job in back] == [b"%d" % n for n in range(90)]


def test_two_that_bury_at_once_requeue_each_job_once(broker: Rig) -> None:
    consumer = broker.consumer()
    ids = broker.push(3)
    consumer.turn(3, [])
    consumer.mark(None, ids[0])
    broker.arrive(consumer)
    scripts, of = broker.queue._scripts, broker.queue._keys.holder(consumer.holder)
    # the first parent dies between its two steps, the second finishes
    broker.queue._broker.run(scripts.condemn(of, if_over=False))
    assert broker.leases.reap()[0] == 1
    assert broker.leases.bury(consumer.holder, Burial("death")) == []
    assert [job.attempts for job in broker.consumer().turn(9, []).jobs] == [1, 0, 0]
    assert broker.queue.size("default").ready == 0


def test_a_delay_postpones_only_what_was_running(broker: Rig) -> None:
    consumer = broker.consumer()
    ids = broker.push(2)
    consumer.turn(2, [])
    consumer.mark(None, ids[0])
    broker.arrive(consumer)
    broker.leases.bury(consumer.holder, Burial("timeout", delay=60.0, doom="timeout"))
    other = broker.consumer()
    assert [job.id for job in other.turn(9, []).jobs] == [ids[1]]
    broker.queue.time_offset = 61.0
    (late,) = other.turn(9, []).jobs
    assert (late.id, late.attempts, late.doom) == (ids[0], 1, "timeout")


def _unstarted(broker: Rig, consumer: RedisConsumer) -> list[str]:
    [ids] = broker.queue._broker.ask(
        packed(b"LRANGE", consumer._of.unstarted, bulk(b"0"), bulk(b"-1"))
    )
    return [job_id.decode() for job_id in ids]


def test_only_the_guilty_pay_for_a_kill_each_with_a_fate_of_its_own(broker: Rig) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    consumer.share(nullcontext())
    ids = broker.push(4)
    consumer.turn(4, [])
    marks = consumer.marks()
    for job_id in ids[:3]:
        marks.mark(None, job_id)
    eventually(lambda: _unstarted(broker, consumer) == ids[3:])
    guilty = (Guilt(ids[0], delay=60.0), Guilt(ids[1], doom="timeout"))
    buried = broker.leases.bury(consumer.holder, Burial("timeout", guilty=guilty))
    assert {job.id for job in buried} == set(ids[:3])
    back = {job.id: (job.attempts, job.doom) for job in other.turn(9, []).jobs}
    assert back == {ids[1]: (1, "timeout"), ids[2]: (0, ""), ids[3]: (0, "")}
    broker.queue.time_offset = 61.0
    (late,) = other.turn(9, []).jobs
    assert (late.id, late.attempts, late.doom) == (ids[0], 1, "")


def test_deaths_add_up_and_a_release_keeps_them_but_ends_the_doom(broker: Rig) -> None:
    """C7."""
    broker.push(1)
    for deaths in range(3):
        consumer = broker.consumer()
        (job,) = consumer.turn(1, []).jobs
        assert (job.attempts, job.deaths) == (deaths, deaths)
        consumer.mark(None, job.id)
        broker.arrive(consumer)
        broker.leases.bury(consumer.holder, Burial("death", doom="timeout"))
    consumer = broker.consumer()
    (job,) = consumer.turn(1, []).jobs
    consumer.release(job, 0.0, attempts=0, exceptions=0)
    (job,) = consumer.turn(1, []).jobs
    assert (job.attempts, job.exceptions, job.deaths, job.doom) == (0, 0, 3, "")
    consumer.release(job, 0.0, attempts=0, exceptions=0, deaths=0)
    (job,) = consumer.turn(1, []).jobs
    assert job.deaths == 0


def test_counters_end_with_their_job(broker: Rig) -> None:
    """C7."""
    consumer = broker.consumer()
    job = broker.start(consumer)
    consumer.release(job, 0.0, attempts=1, exceptions=1)
    consumer.turn(1, [])
    consumer.turn(1, [job.id])
    assert b"{onqueue:redis}:state" not in broker.dump()


def test_a_lapsed_holder_that_renews_in_time_is_spared(broker: Rig) -> None:
    consumer = broker.consumer()
    broker.start(consumer)
    broker.queue.time_offset = 29.0
    assert broker.leases.renew(consumer.holder) == 30.0
    broker.queue.time_offset = 31.0
    reaped, due = broker.leases.reap()
    assert reaped == 0
    assert due == pytest.approx(28.0, abs=1.0)


def test_an_expiry_from_a_clock_that_jumped_is_brought_near(broker: Rig) -> None:
    broker.queue.time_offset = 86_400.0
    consumer = broker.consumer()
    broker.start(consumer)
    broker.queue.time_offset = 0.0
    assert broker.leases.reap() == (0, None) or broker.leases.reap()[1] == pytest.approx(120, abs=2)
    broker.queue.time_offset = 121.0
    assert broker.leases.reap()[0] == 1


def test_reaping_many_lapsed_holders_at_once_takes_all(broker: Rig) -> None:
    for _ in range(30):
        consumer = broker.consumer()
        broker.start(consumer)
    broker.queue.time_offset = 31.0
    assert broker.leases.reap() == (30, None)
    assert broker.queue.size("default").ready == 30
