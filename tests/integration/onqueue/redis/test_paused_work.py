"""Jobs that wait for the end of a pause of their class or tenant."""

from collections.abc import Sequence

import pytest

from onqueue.drivers.redis.consumer import RedisConsumer
from onqueue.quotas import Pause, Quota, pause_key
from support.redis_rig import Rig


def pause_of(kind: str, name: str) -> Quota:
    """Return what a job of a paused class or tenant waits for."""
    return Quota("pause", pause_key(kind, name))  # type: ignore[arg-type]


def park(consumer: RedisConsumer, quota: Quota) -> Sequence[str]:
    """Let all that is handed out wait for a pause; return who."""
    ids = []
    while jobs := consumer.turn(10, []).jobs:
        for job in jobs:
            consumer.wait_turn(job, [quota])
            ids.append(job.id)
    return ids


def test_jobs_of_a_paused_class_come_back_in_order_when_it_is_resumed(broker: Rig) -> None:
    """K27."""
    consumer = broker.consumer()
    paused = Pause("job", "Send mail", "the provider is down")
    assert broker.queue.pause_work(paused) is True
    assert broker.queue.pause_work(paused) is False
    assert broker.queue.pauses() == [paused]
    assert broker.queue.paused() == {}
    ids = broker.push(5)
    assert consumer.turn(0, []).pauses == frozenset()
    turn = consumer.turn(1, [])
    assert turn.pauses == {paused}
    consumer.give_back([turn.jobs[0].id])
    assert park(consumer, pause_of("job", "Send mail")) == ids
    assert consumer.turn(1, []).next_due is None
    assert broker.queue.resume_work("job", "Send mail") is True
    assert broker.queue.resume_work("job", "Send mail") is False
    back = []
    while jobs := consumer.turn(2, []).jobs:
        back += [job.id for job in jobs]
    assert back == ids
    assert consumer.turn(1, []).pauses == frozenset()
    assert b"{onqueue:redis}:paused" not in broker.dump()
    # Their places in front, for a pause that begins again at once, are not kept for good.
    assert 0 < broker.client.ttl("{onqueue:redis}:granted") <= 90_000


def test_a_pause_of_a_tenant_ends_by_itself_and_brings_its_jobs_back(broker: Rig) -> None:
    """K27."""
    consumer = broker.consumer()
    seconds, _ = broker.client.time()
    broker.queue.pause_work(Pause("tenant", "acme", until=seconds + 30.0))
    (job_id,) = broker.push(1)
    assert park(consumer, pause_of("tenant", "acme")) == [job_id]
    assert consumer.turn(1, []).next_due == pytest.approx(30, abs=2)
    broker.queue.time_offset = 31.0
    turn = consumer.turn(1, [])
    assert [job.id for job in turn.jobs] == [job_id]
    assert turn.pauses == frozenset()
    assert broker.queue.pauses() == []


def test_a_pause_that_is_made_longer_keeps_its_jobs(broker: Rig) -> None:
    consumer = broker.consumer()
    seconds, _ = broker.client.time()
    broker.queue.pause_work(Pause("tenant", "acme", until=seconds + 30.0))
    broker.push(1)
    park(consumer, pause_of("tenant", "acme"))
    broker.queue.pause_work(Pause("tenant", "acme", until=seconds + 90.0))
    broker.queue.time_offset = 31.0
    assert consumer.turn(1, []).jobs == []
    broker.queue.time_offset = 91.0
    assert len(consumer.turn(1, []).jobs) == 1


def test_all_kinds_of_pauses_are_told_with_reason_and_end(broker: Rig) -> None:
    broker.queue.pause(None, "night")
    broker.queue.pause("mails", "", until=9e9)
    broker.queue.pause_work(Pause("job", "Bill", "audit"))
    broker.queue.pause_work(Pause("tenant", "a/b c:d", "unpaid"))
    assert broker.queue.pauses() == [
        Pause("connection", "", "night"),
        Pause("job", "Bill", "audit"),
        Pause("queue", "mails", "", 9e9),
        Pause("tenant", "a/b c:d", "unpaid"),
    ]
    assert broker.queue.paused() == {"": "night", "mails": ""}
