"""Idle consumers are woken by what is pushed, due, released, resumed or given back.

Who is not woken waits for `LONG`; half of that is time enough on any machine.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from onqueue.clock import SystemClock
from onqueue.contracts import Burial
from onqueue.drivers.redis.consumer import RedisConsumer
from onqueue.drivers.redis.wire import FIRST_WITH_FLAGS, server_version
from support.redis_rig import Rig, pipe

LONG = 90.0
clock = SystemClock()


def get_job(consumer: RedisConsumer) -> None:
    """Let an idle consumer wait for a job, as the worker's loop does; it must be woken."""
    with pipe() as (reader, _), woken():
        while not (turn := consumer.turn(1, [])).jobs:
            consumer.wait(LONG if turn.next_due is None else turn.next_due, reader)


@contextmanager
def woken() -> Iterator[None]:
    """Fail when what is inside waited for as long as somebody does whom nobody wakes."""
    began = clock.monotonic()
    yield
    assert clock.monotonic() - began < LONG / 2, "nobody woke it"


def seconds_of_wait(consumer: RedisConsumer, timeout: float, reader: int) -> float:
    """Return how long a wait took that nobody ended."""
    began = clock.monotonic()
    consumer.wait(timeout, reader)
    return clock.monotonic() - began


def later(act: Callable[[], object], after: float = 0.05) -> threading.Timer:
    """Do `act` in another thread soon."""
    timer = threading.Timer(after, act)
    timer.start()
    return timer


def test_a_push_wakes_a_consumer_of_any_of_its_queues(broker: Rig) -> None:
    """C32."""
    for queue in ("high", "default", "low"):
        consumer = broker.consumer("high", "default", "low")
        timer = later(lambda queue=queue: broker.push(1, queue))  # type: ignore[misc]
        get_job(consumer)
        timer.join()


def test_two_idle_consumers_racing_for_pushes_lose_no_wake_up(broker: Rig) -> None:
    """K31."""
    jobs, taken = 400, []
    stop_reader, stop_writer = os.pipe()
    stopping = threading.Event()

    def work(consumer: RedisConsumer) -> None:
        done: list[str] = []
        while not stopping.is_set():
            turn = consumer.turn(2, done)
            done = [job.id for job in turn.jobs]
            taken.extend(done)
            if not done:
                consumer.wait(LONG, stop_reader)

    threads = [threading.Thread(target=work, args=(broker.consumer(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(jobs):
        began = clock.monotonic()
        broker.push(1 + number % 3)
        pushed = sum(1 + n % 3 for n in range(number + 1))
        while len(taken) < pushed:
            assert clock.monotonic() - began < LONG / 2, f"a wake-up was lost after {number} pushes"
            clock.sleep(0.0002)
    stopping.set()
    os.write(stop_writer, b"x")
    for thread in threads:
        thread.join()
    os.close(stop_reader)
    os.close(stop_writer)
    assert len(taken) == len(set(taken))


def test_an_idle_consumer_gets_a_delayed_job_when_it_is_due_and_not_at_a_whole_second(
    broker: Rig,
) -> None:
    """C29: how late to the millisecond is for the benchmark; a busy machine halts now and then."""
    consumer = broker.consumer()
    late = []
    for number in range(40):
        delay = 0.01 + number % 7 / 200
        began = clock.monotonic()
        broker.push(1, delay=delay)
        get_job(consumer)
        late.append(clock.monotonic() - began - delay)
    assert sorted(late)[len(late) // 4] < 0.2
    assert min(late) > -0.002


def test_a_job_delayed_while_a_consumer_sleeps_wakes_it_in_time(broker: Rig) -> None:
    consumer = broker.consumer()
    broker.push(1, delay=60.0)
    timer = later(lambda: broker.push(1, delay=0.1))

    get_job(consumer)
    timer.join()


def test_who_takes_jobs_away_leaves_the_timer_to_an_idle_peer(broker: Rig) -> None:
    idle, busy = broker.consumer(), broker.consumer()
    broker.push(1, delay=0.3)
    assert busy.turn(1, []).next_due is not None  # busy knows the timer, idle does not
    broker.client.delete("{onqueue:redis}:wake:default")
    timer = later(lambda: (broker.push(2), busy.turn(1, []), busy.turn(1, [])), 0.1)
    got: list[str] = []
    with pipe() as (reader, _), woken():
        while not got:
            idle.wait(LONG, reader)
            turn = idle.turn(1, [])
            got = [job.id for job in turn.jobs]
            if not got and turn.next_due is not None:
                idle.wait(turn.next_due, reader)
                got = [job.id for job in idle.turn(1, []).jobs]
    timer.join()


def test_a_release_a_give_back_a_burial_and_a_resume_wake_too(broker: Rig) -> None:
    idle, busy = broker.consumer(), broker.consumer()

    def check(act: Callable[[], object]) -> None:
        timer = later(act)
        get_job(idle)
        timer.join()

    job = broker.start(busy)
    check(lambda: busy.release(job, 0.0, attempts=1, exceptions=0))
    ids = broker.push(2)
    busy.turn(2, [])
    check(lambda: busy.give_back(ids))
    get_job(idle)
    broker.start(busy)
    check(lambda: broker.leases.bury(busy.holder, Burial("death")))
    broker.queue.pause("default", "deploy")
    broker.push(1)
    assert idle.turn(1, []).jobs == []
    check(lambda: broker.queue.resume("default"))
    broker.queue.pause(None)
    broker.push(1)
    assert idle.turn(1, []).jobs == []
    check(lambda: broker.queue.resume(None))


def test_a_token_taken_by_one_that_died_before_its_turn_is_posted_again_by_the_burial(
    broker: Rig,
) -> None:
    dying, idle = broker.consumer(), broker.consumer()
    assert idle.turn(1, []).jobs == []
    broker.push(1)
    with pipe() as (reader, _):
        dying.wait(LONG, reader)
    assert broker.client.llen("{onqueue:redis}:wake:default") == 0
    timer = later(lambda: broker.leases.bury(dying.holder, Burial("death")))
    with pipe() as (reader, _), woken():
        idle.wait(LONG, reader)
    assert len(idle.turn(1, []).jobs) == 1
    timer.join()


def test_an_interrupted_wait_does_not_keep_the_token(broker: Rig) -> None:
    consumer = broker.consumer()
    broker.push(1)
    with pipe() as (reader, writer):
        os.write(writer, b"x")
        for _ in range(50):
            consumer.wait(LONG, reader)
            assert broker.client.llen("{onqueue:redis}:wake:default") == 1


def test_a_wait_ends_when_its_time_is_over_and_the_next_works(broker: Rig) -> None:
    """The server itself would answer only five seconds after it; once in five is no halt there."""
    consumer = broker.consumer()
    with pipe() as (reader, _):
        for timeout in (0.0, 0.001, 0.03):
            waits = [seconds_of_wait(consumer, timeout, reader) for _ in range(5)]
            assert timeout <= min(waits) < timeout + 2.5
    timer = later(lambda: broker.push(1))
    get_job(consumer)
    timer.join()
    assert broker.client.info("clients")["blocked_clients"] == 0


def test_tokens_do_not_pile_up(broker: Rig) -> None:
    """K31."""
    for _ in range(3):
        broker.push(100)
    assert broker.client.llen("{onqueue:redis}:wake:default") == 64
    consumer = broker.consumer()
    while broker.queue.size("default").ready:
        consumer.turn(100, [])
    consumer.turn(1, [])
    assert broker.client.llen("{onqueue:redis}:wake:default") == 0


@pytest.mark.parametrize("forbidden", ["-client|unblock", "-client"])
def test_a_log_in_without_client_commands_waits_and_works_too(broker: Rig, forbidden: str) -> None:
    if "|" in forbidden and server_version(broker.client.info("server")) < FIRST_WITH_FLAGS:
        pytest.skip("this server cannot forbid a part of a command")
    broker.client.acl_setuser(
        "narrow",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        commands=["+@all", forbidden, "+client|id", "+client|setinfo"],
    )
    narrow = Rig(broker.url.replace("unix://", "unix://narrow:secret@"))
    try:
        consumer = narrow.consumer()
        narrow.push(3)
        jobs = consumer.turn(3, []).jobs
        consumer.mark(None, jobs[0].id)
        consumer.mark(jobs[0].id, jobs[1].id)
        assert consumer.turn(0, [jobs[0].id]).refused == []
        with pipe() as (reader, _):
            assert min(seconds_of_wait(consumer, 0.02, reader) for _ in range(5)) < 2.5
        consumer.give_back([jobs[2].id])
        assert narrow.queue.size("default").ready == 1
    finally:
        narrow.close()
        broker.client.acl_deluser("narrow")
