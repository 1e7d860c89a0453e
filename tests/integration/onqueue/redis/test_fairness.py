"""Tenants that share one queue: whoever waits behind ten thousand jobs of another starts soon.

All of it holds for both forms in which a lane is told: by the payload, and by a tie in the server,
as every dispatcher of a release before writes it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from secrets import token_hex
from typing import Any

import pytest

from onqueue.contracts import Burial, Message, ReservedJob, Tie
from onqueue.drivers.redis import RedisQueue
from onqueue.drivers.redis.consumer import RedisConsumer
from support.redis_rig import Rig
from support.waiting import eventually

QUEUE = "default"


@pytest.fixture(params=["told", "tied"])
def rig(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(redis_url)
    FORM.set(request.param)
    yield rig
    rig.close()


FORM = ContextVar[str]("form")


def of(tenant: str, weight: int = 1, *, delay: float = 0.0) -> Message:
    """Return a job of a tenant; its payload names it."""
    part = f'{{"fair":"{tenant}"' + (f',"weight":{weight}}}' if weight > 1 else "}")
    payload = f'{{"v":1,"t":{part}}}' if tenant and FORM.get() == "told" else tenant
    return Message(
        id=token_hex(16),
        queue=QUEUE,
        payload=payload.encode(),
        delay=delay,
        tie=Tie(fair=tenant, weight=weight) if tenant else None,
    )


def whose(job: ReservedJob | Message) -> bytes:
    """Return the tenant whose job it is."""
    return job.payload.partition(b'"fair":"')[2].partition(b'"')[0] or job.payload


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
        order += [whose(job).decode() for job in turn.jobs]
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
    started = [whose(job) for job in (*reserved.jobs, *after.jobs)]
    assert started.index(b"B") < 16
    assert queue.size(QUEUE).total == 10_001 - len(reserved.jobs)


def run(consumer: RedisConsumer, done: Sequence[str]) -> list[ReservedJob]:
    """Start all that a trip brings, as a worker does; return what was started."""
    jobs = consumer.turn(128, done).jobs
    for number, job in enumerate(jobs, 1):
        if consumer.mark(None, job.id):
            consumer.give_back([other.id for other in jobs[number:]])
            return jobs[:number]
    return jobs


def grown(consumer: RedisConsumer, most: int = 128) -> list[str]:
    """Run trips until they bring as many jobs as they may; return who ran in the last one."""
    done: list[str] = []
    while len(done) < most:
        done = [job.id for job in run(consumer, done)]
    return done


def has_heard(consumer: RedisConsumer) -> bool:
    """Tell whether something that was said to the consumer lies there to be read."""
    poll = consumer._watch._poll
    return poll is not None and bool(poll.poll(0))


def test_a_tenant_that_comes_while_a_long_trip_of_another_is_run_starts_within_sixteen(
    rig: Rig,
) -> None:
    """B3."""
    sent = [of("A") for _ in range(1_000)]
    rig.queue.push_many(sent)
    consumer = rig.consumer(QUEUE)
    done = grown(consumer)
    jobs = consumer.turn(128, done).jobs
    assert len(jobs) == 128, "one tenant alone does not pay for fairness"
    started: list[ReservedJob] = []
    for number, job in enumerate(jobs, 1):
        if number == 20:
            rig.queue.push(of("B"))
            # The server answers whoever pushed and tells whoever listens at the same moment; the
            # jobs of this test take no time at all.
            eventually(lambda: has_heard(consumer))
        started.append(job)
        if consumer.mark(None, job.id):
            consumer.give_back([other.id for other in jobs[number:]])
            break
    started += run(consumer, [job.id for job in started])
    assert [whose(job) for job in started[20:]].index(b"B") < 16
    assert rig.client.llen("{onqueue:redis}:ready:default") == 0, "they went back to their lane"
    ended = [job.id for job in started]
    while more := run(consumer, ended):
        started += more
        ended = [job.id for job in more]
    first = [one.id for one in sent].index(started[0].id)
    rest = [one.id for one in sent[first:]]
    assert [job.id for job in started if whose(job) == b"A"] == rest, "in their order, each once"


def test_nobody_asks_for_others_while_one_tenant_is_alone(rig: Rig) -> None:
    rig.queue.push_many([of("A") for _ in range(1_000)])
    consumer = rig.consumer(QUEUE)
    done = grown(consumer)
    rig.client.config_resetstat()
    rig.queue.push(of("A"))
    while done:
        done = [job.id for job in run(consumer, done)]
    asked: Any = rig.client.info("commandstats")
    trips = asked["cmdstat_evalsha"]["calls"]
    assert asked["cmdstat_lrange"]["calls"] <= 3 * trips, "each trip looks into the ring itself"
    assert trips < 12


def test_who_cannot_be_told_of_other_lanes_takes_few_jobs_of_a_tenant(rig: Rig) -> None:
    """A lost subscription, and a user who may listen to nothing."""
    rig.queue.push_many([of("A") for _ in range(600)])
    consumer = rig.consumer(QUEUE)
    done = grown(consumer)
    rig.client.client_kill_filter(_type="pubsub")
    jobs = consumer.turn(128, done).jobs
    started = next(number for number, job in enumerate(jobs, 1) if consumer.mark(None, job.id))
    assert started < 16
    consumer.give_back([job.id for job in jobs[started:]])
    assert len(consumer.turn(128, [job.id for job in jobs[:started]]).jobs) < 16
    client: Any = rig.client
    client.execute_command("ACL SETUSER deaf on nopass ~* +@all resetchannels")
    deaf = Rig(f"{rig.url}&username=deaf&password=x")
    try:
        other = deaf.consumer(QUEUE)
        for _ in range(6):
            assert len(other.turn(128, []).jobs) < 16
        deaf.queue.push(of("B"))
    finally:
        deaf.close()
        client.execute_command("ACL DELUSER deaf")


def test_who_comes_for_the_second_time_does_not_wait_for_a_long_trip_either(rig: Rig) -> None:
    """B3."""
    rig.queue.push_many([of("A") for _ in range(1_000)])
    consumer = rig.consumer(QUEUE)
    done = grown(consumer)
    rig.queue.push_many([of("B") for _ in range(3)])
    first = consumer.turn(128, done).jobs
    assert sorted(whose(job) for job in first[:6]) == [b"A"] * 3 + [b"B"] * 3
    for job in first[:30]:
        assert not consumer.mark(None, job.id)
    rig.queue.push(of("B"))
    eventually(lambda: has_heard(consumer))
    waited = 0
    while not consumer.mark(None, first[30 + waited].id):
        waited += 1
    assert waited < 14


def test_who_comes_while_jobs_of_one_tenant_with_many_weights_are_run_starts_within_sixteen(
    rig: Rig,
) -> None:
    """B3."""
    rig.queue.push_many([of("A", 1 + number % 30) for number in range(1_000)])
    consumer = rig.consumer(QUEUE)
    jobs = consumer.turn(128, grown(consumer)).jobs
    rig.queue.push(of("B"))
    eventually(lambda: has_heard(consumer))
    started = next(number for number, job in enumerate(jobs, 1) if consumer.mark(None, job.id))
    assert started < 16


def test_lanes_that_take_turns_in_a_long_trip_do_not_end_it(rig: Rig) -> None:
    rig.queue.push_many([of(tenant) for tenant in "abcdefghijkl" for _ in range(100)])
    consumer = rig.consumer(QUEUE)
    done = grown(consumer, 120)
    for _ in range(2):
        done = [job.id for job in run(consumer, done)]
        assert len(done) == 120


def test_a_heavy_lane_keeps_its_share_in_long_trips(rig: Rig) -> None:
    rig.queue.push_many([of("light") for _ in range(100)])
    rig.queue.push_many([of("heavy", 40) for _ in range(2_000)])
    consumer = rig.consumer(QUEUE)
    done = grown(consumer, 123)
    shares = Counter(whose(job) for job in run(consumer, done))
    assert shares == {b"heavy": 120, b"light": 3}


def test_what_goes_back_keeps_its_weight_and_queues_up_behind_those_that_came(rig: Rig) -> None:
    consumer = rig.consumer(QUEUE)
    rig.queue.push_many([of("A", 3) for _ in range(10)])
    held = consumer.turn(128, []).jobs
    rig.queue.push_many([of("B") for _ in range(8)])
    consumer.give_back([job.id for job in held])
    assert "".join(work(rig.queue, 16)) == "BAAABAAABAAABABB"


def test_what_a_dead_holder_had_goes_back_to_its_lane(rig: Rig) -> None:
    """B3."""
    rig.queue.push_many([of("A") for _ in range(1_000)])
    consumer = rig.consumer(QUEUE)
    assert len(consumer.turn(128, grown(consumer)).jobs) == 128
    rig.queue.push(of("B"))
    assert rig.leases.bury(consumer.holder, Burial("exit")) is not None
    assert work(rig.queue, 16).index("B") < 16
    assert rig.client.llen("{onqueue:redis}:ready:default") == 0


def test_who_shares_a_consumer_takes_few_jobs_of_a_tenant(rig: Rig) -> None:
    """B3."""
    rig.queue.push_many([of("A") for _ in range(1_000)])
    consumer = rig.consumer(QUEUE)
    consumer.share(nullcontext())
    for _ in range(5):
        assert len(consumer.turn(128, []).jobs) < 16


def test_of_many_tenants_a_trip_takes_one_round(rig: Rig) -> None:
    """B3."""
    rig.queue.push_many([of(f"tenant-{number % 100}") for number in range(300)])
    taken = rig.consumer(QUEUE).turn(128, []).jobs
    assert sorted(whose(job) for job in taken) == sorted(
        f"tenant-{number}".encode() for number in range(100)
    )


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
        own = [one.id for one in messages if whose(one) == tenant.encode()]
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


def test_a_job_that_was_cancelled_while_held_is_told_so_when_it_comes_again(rig: Rig) -> None:
    """B11."""
    rig.queue.push_many([of("A") for _ in range(3)])
    dying = rig.consumer(QUEUE)
    held = dying.turn(3, []).jobs
    assert rig.queue.cancel(held[1].id, 5.0) == "asked"
    rig.leases.bury(dying.holder, Burial("exit"))
    again = rig.consumer(QUEUE).turn(3, []).jobs
    assert [job.id for job in again] == [job.id for job in held]
    assert [job.cancelled for job in again] == [False, True, False]
    assert rig.client.llen("{onqueue:redis}:ready:default") == 0, "they came from their lane"


def test_jobs_of_a_tenant_wait_in_one_lane_in_whichever_form_they_were_written(rig: Rig) -> None:
    """What a dispatcher of the release before has written, beside new ones; ties go with theirs."""
    forms = ["told", "tied"] * 4
    sent = []
    for form in forms:
        FORM.set(form)
        sent += [of("A"), of("B", 2, delay=0.0)]
        rig.queue.push_many(sent[-2:])
    assert rig.client.hlen("{onqueue:redis}:ties") == len(forms)
    assert rig.client.llen("{onqueue:redis}:ring:default") == 2
    consumer = rig.consumer(QUEUE)
    jobs = consumer.turn(12, []).jobs
    consumer.give_back([job.id for job in jobs])
    assert rig.client.llen("{onqueue:redis}:ready:default") == 0
    assert Counter(work(rig.queue, 6)) == {"A": 2, "B": 4}
    assert len(work(rig.queue, 10)) == 10
    assert not rig.client.exists("{onqueue:redis}:ties")


def test_who_does_not_read_payloads_loses_a_job_its_turn_and_nothing_else(rig: Rig) -> None:
    """A worker of the release before: what it hands back is ready at once, and runs once."""
    rig.queue.push_many([of("A") for _ in range(4)] + [of("B", 3) for _ in range(4)])
    rig.client.delete("{onqueue:redis}:fair")
    consumer = rig.consumer(QUEUE)
    first, second, third, *_ = consumer.turn(8, []).jobs
    assert consumer.release(first, 0.0, attempts=1, exceptions=0)
    consumer.give_back([second.id])
    consumer.mark(None, third.id)
    rig.arrive(consumer)
    rig.leases.bury(consumer.holder, Burial("death"))
    rig.queue.time_offset = 1.0
    assert Counter(work(rig.queue, 20)) == {"A": 4, "B": 4}
    assert rig.queue.size(QUEUE).total == 0
