"""A push hands its job to a consumer that waits, reserved, and to nobody who is not there."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as Disconnected

from meet2be.local.valkey import ValkeyServer
from onqueue.contracts import Burial
from onqueue.drivers.redis.consumer import RedisConsumer
from onqueue.errors import BrokerUnavailable
from support.proxy import losing_proxy
from support.redis_rig import Rig, message, pipe, rig
from support.waiting import eventually

LONG = 90.0


@pytest.fixture
def stopper() -> Iterator[tuple[int, int]]:
    """A pipe whose reading end ends a wait."""
    with pipe() as ends:
        yield ends


def idle(consumer: RedisConsumer, stopper: tuple[int, int]) -> RedisConsumer:
    """Let a consumer look twice and wait in between, so that pushes know of it."""
    assert consumer.turn(1, []).jobs == []
    consumer.wait(0.001, stopper[0])
    assert consumer.turn(1, []).jobs == []
    return consumer


def states(broker: Rig, queue: str = "default") -> tuple[int, int]:
    """Return how many jobs are ready and how many reserved."""
    size = broker.queue.size(queue)
    return size.ready, size.reserved


def trips(broker: Rig) -> int:
    """Return how many scripts the server has run."""
    stats: Any = broker.client.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


def test_a_push_hands_its_job_to_a_consumer_that_waits(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    """It needs no trip of its own before it runs the job."""
    consumer = idle(broker.consumer("high", "default"), stopper)
    [job_id] = broker.push(1, payload=b"line\nline")
    assert states(broker) == (0, 1)
    before = trips(broker)
    consumer.wait(LONG, stopper[0])
    [job] = consumer.turn(1, []).jobs
    assert trips(broker) == before
    assert (job.id, job.queue, job.payload, job.attempts) == (
        job_id, "default", b"line\nline", 0,
    )  # fmt: skip
    consumer.mark(None, job.id)
    assert consumer.turn(1, [job.id]).refused == []
    assert broker.queue.size("default").total == 0


def test_each_of_many_pushes_is_handed_over_and_run_once(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    consumer = idle(broker.consumer(), stopper)
    for _ in range(20):
        [job_id] = broker.push()
        assert states(broker) == (0, 1)
        consumer.wait(LONG, stopper[0])
        [job] = consumer.turn(5, []).jobs
        consumer.mark(None, job_id)
        assert job.id == job_id
        assert consumer.turn(5, [job_id]).jobs == []
    assert broker.client.llen(f"{{onqueue:redis}}:unfinished:{consumer.holder}") == 0


def test_who_was_handed_a_job_is_handed_no_second_one(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    first = idle(broker.consumer("default", "other"), stopper)
    broker.push()
    broker.push(1, "other")
    assert (states(broker), states(broker, "other")) == ((0, 1), (1, 0))
    second = broker.consumer("other")
    assert len(second.turn(1, []).jobs) == 1
    first.wait(LONG, stopper[0])
    assert len(first.turn(1, []).jobs) == 1


def test_a_push_of_several_and_one_behind_others_is_left_to_whoever_comes(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    consumer = idle(broker.consumer(), stopper)
    ids = broker.push(2) + broker.push(1)
    assert states(broker) == (3, 0)
    consumer.wait(LONG, stopper[0])
    assert [job.id for job in consumer.turn(5, []).jobs] == ids


def test_of_several_of_which_one_is_new_that_one_keeps_its_payload(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    known, new = message(payload=b"known", once=60.0), message(payload=b"new", once=60.0)
    assert broker.queue.push(known) is True
    first = broker.consumer()
    assert first.turn(1, []).jobs[0].id == known.id
    consumer = idle(broker.consumer(), stopper)
    assert broker.queue.push_many([known, new]) == 1
    consumer.wait(LONG, stopper[0])
    [job] = consumer.turn(1, []).jobs
    assert (job.id, job.payload) == (new.id, b"new")


def test_nothing_is_handed_to_a_process_that_is_gone(broker: Rig, stopper: tuple[int, int]) -> None:
    dead = idle(broker.consumer(), stopper)
    dead.close()
    listening: Any = broker.client
    eventually(lambda: not listening.pubsub_channels("*inbox*"))
    broker.push()
    assert states(broker) == (1, 0)
    assert len(broker.consumer().turn(1, []).jobs) == 1


def test_nothing_is_handed_to_a_holder_whose_lease_is_over(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    consumer = idle(broker.consumer(), stopper)
    broker.leases.bury(consumer.holder, Burial("exit"))
    broker.push()
    assert states(broker) == (1, 0)


def test_nothing_is_handed_over_while_anything_is_paused(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    consumer = idle(broker.consumer(), stopper)
    broker.queue.pause("default", "deploy")
    broker.push()
    assert states(broker) == (1, 0)
    consumer.wait(LONG, stopper[0])
    assert consumer.turn(1, []).jobs == []
    broker.queue.resume("default")
    assert len(consumer.turn(1, []).jobs) == 1


@pytest.mark.parametrize("is_handed", [True, False])
def test_a_wait_that_is_interrupted_leaves_what_was_handed_to_others(
    broker: Rig, stopper: tuple[int, int], is_handed: bool
) -> None:
    """The worker may be told to pause or to stop."""
    consumer = idle(broker.consumer(), stopper)
    if is_handed:
        broker.push()
    os.write(stopper[1], b"x")
    consumer.wait(LONG, stopper[0])
    if not is_handed:
        broker.push()
    assert states(broker) == (1, 0)
    assert broker.client.llen("{onqueue:redis}:wake:default") == 1
    assert len(broker.consumer().turn(1, []).jobs) == 1


def test_who_leaves_is_handed_nothing(broker: Rig, stopper: tuple[int, int]) -> None:
    consumer = idle(broker.consumer(), stopper)
    consumer.leave()
    broker.push()
    assert states(broker) == (1, 0)


def test_a_turn_picks_by_priority_though_it_was_handed_something_less_urgent(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    consumer = idle(broker.consumer("high", "default"), stopper)
    urgent = broker.push(2, "high")
    [job_id] = broker.push()
    assert states(broker) == (0, 1)
    consumer.wait(LONG, stopper[0])
    assert [job.id for job in consumer.turn(2, []).jobs] == urgent
    assert [job.id for job in consumer.turn(2, urgent).jobs] == [job_id]


def test_what_was_handed_over_and_not_started_goes_back_unspent_when_its_process_dies(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    consumer = idle(broker.consumer(), stopper)
    [job_id] = broker.push()
    consumer.wait(LONG, stopper[0])
    assert broker.leases.bury(consumer.holder, Burial("death")) == []
    [job] = broker.consumer().turn(1, []).jobs
    assert (job.id, job.attempts, job.deaths) == (job_id, 0, 0)


def test_one_that_had_started_is_known_as_in_flight(broker: Rig, stopper: tuple[int, int]) -> None:
    consumer = idle(broker.consumer(), stopper)
    [job_id] = broker.push()
    consumer.wait(LONG, stopper[0])
    consumer.mark(None, consumer.turn(1, []).jobs[0].id)
    broker.arrive(consumer)
    assert [job.id for job in broker.leases.bury(consumer.holder, Burial("death"))] == [job_id]


def test_what_is_lost_on_its_way_comes_with_the_next_turn(
    valkey_server: ValkeyServer, redis_url: str, stopper: tuple[int, int]
) -> None:
    with (
        losing_proxy(Path(valkey_server.socket)) as proxy,
        rig(f"unix://{proxy.path}") as broker,
        rig(redis_url) as pusher,
    ):
        consumer = idle(broker.consumer(), stopper)
        [job_id] = pusher.push()
        proxy.lose_answer_to(b"BLPOP")
        consumer.wait(LONG, stopper[0])
        assert proxy.cuts == 1
        [job] = consumer.turn(1, []).jobs
        assert (job.id, job.attempts) == (job_id, 0)
        assert states(pusher) == (0, 1)


def test_a_turn_whose_answer_is_lost_leaves_nothing_that_was_handed_with_nobody(
    valkey_server: ValkeyServer, redis_url: str, stopper: tuple[int, int]
) -> None:
    """The consumer offered itself without knowing, and was handed a job before it asked again."""
    with (
        losing_proxy(Path(valkey_server.socket)) as proxy,
        rig(f"unix://{proxy.path}") as broker,
        rig(redis_url) as pusher,
    ):
        consumer = idle(broker.consumer(), stopper)
        [job_id] = pusher.push()
        proxy.cut_all()
        consumer.wait(LONG, stopper[0])
        job_ids = [job.id for job in consumer.turn(1, []).jobs]
        assert job_ids == [job_id]
        assert states(pusher) == (0, 1)


def test_who_may_not_listen_gets_its_jobs_as_ever(broker: Rig, stopper: tuple[int, int]) -> None:
    client: Any = broker.client
    client.execute_command("ACL SETUSER deaf on nopass ~* +@all resetchannels")
    deaf = Rig(f"{broker.url}&username=deaf&password=x")
    try:
        consumer = idle(deaf.consumer(), stopper)
        broker.push()
        assert states(broker) == (1, 0)
        consumer.wait(LONG, stopper[0])
        assert len(consumer.turn(1, []).jobs) == 1
    finally:
        deaf.close()
        client.execute_command("ACL DELUSER deaf")


def test_threads_that_share_a_consumer_are_handed_nothing(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    consumer = broker.consumer()
    consumer.share(threading.RLock())
    idle(consumer, stopper)
    broker.push()
    assert states(broker) == (1, 0)


def inbox(consumer: RedisConsumer) -> str:
    """Return the key of what is handed to a consumer."""
    return f"{{onqueue:redis}}:inbox:{consumer.holder}"


def test_what_was_taken_out_of_an_inbox_and_lies_there_again_is_not_run_again(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    """A server that was started again may have kept the push and lost that it was taken."""
    consumer = broker.consumer()
    job = broker.start(consumer)
    broker.client.rpush(inbox(consumer), f"{job.id}default\n{{}}")
    consumer.turn(0, [])
    assert states(broker) == (0, 1)
    broker.client.rpush(inbox(consumer), f"{job.id}default\n{{}}")
    assert consumer.turn(1, [job.id]).refused == []
    broker.client.rpush(inbox(consumer), f"{job.id}default\n{{}}")
    assert idle(consumer, stopper).turn(1, []).jobs == []
    assert broker.queue.size("default").total == 0


def test_a_turn_finds_what_was_handed_over_after_an_offer_it_does_not_know_of(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    """A turn may reach the server after its repetition."""
    late = idle(broker.consumer(), stopper)
    [job_id] = broker.push()
    assert states(broker) == (0, 1)
    assert [job.id for job in broker.consumer(holder=late.holder).turn(1, []).jobs] == [job_id]


def test_who_leaves_gives_back_what_it_was_handed(broker: Rig, stopper: tuple[int, int]) -> None:
    """It was told to pause or to stop when its wait had just ended."""
    consumer = idle(broker.consumer(), stopper)
    [job_id] = broker.push()
    consumer.wait(LONG, stopper[0])
    assert states(broker) == (0, 1)
    consumer.leave()
    assert states(broker) == (1, 0)
    assert consumer.turn(0, []).jobs == []
    assert [job.id for job in broker.consumer().turn(1, []).jobs] == [job_id]
    assert consumer.turn(1, []).jobs == []


def test_a_withdrawal_that_failed_is_made_up_for_by_the_next(
    broker: Rig, stopper: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = idle(broker.consumer(), stopper)
    broker.push()

    def away(*_: object) -> None:
        raise Disconnected("away")

    with monkeypatch.context() as patched:
        for name in ("run", "ask"):
            patched.setattr(consumer._line, name, away)
        with pytest.raises(BrokerUnavailable):
            consumer.leave()
    assert states(broker) == (0, 1)
    consumer.leave()
    assert states(broker) == (1, 0)


def test_a_confirmation_gives_back_what_was_handed_over_and_tells_what_it_refuses(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    consumer = idle(broker.consumer(), stopper)
    broker.push()
    consumer.wait(LONG, stopper[0])
    stranger = "f" * 32
    assert consumer.turn(0, [stranger]).refused == [stranger]
    assert states(broker) == (1, 0)


def test_of_a_buried_holder_neither_its_inbox_nor_its_offer_is_left(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    consumer = idle(broker.consumer(), stopper)
    broker.push()
    assert broker.client.exists(inbox(consumer))
    # An older release condemns and knows nothing of offers.
    broker.client.zadd("{onqueue:redis}:holders", {consumer.holder: -1})
    for kind in ("unstarted", "unfinished"):
        name = f"{kind}:{consumer.holder}"
        broker.client.rename(f"{{onqueue:redis}}:{name}", f"{{onqueue:redis}}:tomb-{name}")
    broker.client.hset("{onqueue:redis}:idle", consumer.holder, "1")
    broker.leases.bury(consumer.holder, Burial("death"))
    assert not broker.client.exists(inbox(consumer), "{onqueue:redis}:idle")
    assert states(broker) == (1, 0)


def test_nothing_is_handed_to_a_consumer_that_is_frozen(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    """Its connections stand, but it has not come back from its wait for longer than it waits."""
    idle(broker.consumer(), stopper)
    broker.queue.time_offset = 10.0
    broker.push()
    assert states(broker) == (1, 0)


def test_of_several_that_wait_whoever_came_last_is_handed_the_job(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    """Who came before may be frozen by now."""
    waiting = [idle(broker.consumer(), stopper) for _ in range(4)]
    for consumer in reversed(waiting):
        broker.push()
        assert broker.client.exists(inbox(consumer))


def test_offers_that_are_over_neither_add_up_nor_hide_one_that_stands(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    for _ in range(10):
        idle(broker.consumer(), stopper)
    broker.queue.time_offset = 10.0
    consumer = idle(broker.consumer(), stopper)
    assert broker.client.zcard("{onqueue:redis}:offers:default") == 1
    assert 0 < int(broker.client.pttl("{onqueue:redis}:offers:default")) <= 60_000
    broker.push()
    assert broker.client.exists(inbox(consumer))


def test_who_carries_something_to_another_broker_first_is_handed_nothing(
    broker: Rig, stopper: tuple[int, int]
) -> None:
    consumer = idle(broker.consumer(), stopper)
    broker.client.hset("{onqueue:redis}:ties", "0" * 32, "{}")
    broker.client.hset("{onqueue:redis}:transfers", "0" * 32, "{}")
    assert consumer.turn(1, []).transfers
    broker.push()
    assert states(broker) == (1, 0)


def test_who_may_not_end_a_wait_is_handed_nothing(broker: Rig, stopper: tuple[int, int]) -> None:
    """What is handed over at the end of each wait would be lost on its way."""
    client: Any = broker.client
    client.execute_command(
        "ACL SETUSER bound on nopass ~* &* +@all -client +client|id +client|setinfo"
    )
    bound = Rig(f"{broker.url}&username=bound&password=x")
    try:
        consumer = idle(bound.consumer(), stopper)
        broker.push()
        assert states(broker) == (1, 0)
        consumer.wait(LONG, stopper[0])
        assert len(consumer.turn(1, []).jobs) == 1
    finally:
        bound.close()
        client.execute_command("ACL DELUSER bound")
