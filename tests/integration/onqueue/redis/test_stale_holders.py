"""A holder that was buried changes nothing, whatever it tries."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from onqueue.contracts import Burial, ReservedJob
from onqueue.drivers.redis.consumer import RedisConsumer
from onqueue.errors import LeaseLost
from support.redis_rig import Rig

Act = Callable[[RedisConsumer, ReservedJob, ReservedJob], Any]


def mark(consumer: RedisConsumer, job: ReservedJob, other: ReservedJob) -> None:
    """Tell that one is done and the other has started, and let that arrive."""
    consumer.mark(job.id, other.id)
    Rig.arrive(consumer)


ACTS: dict[str, Act] = {
    "turn": lambda consumer, *_: consumer.turn(5, []),
    "turn with done jobs": lambda consumer, job, _: consumer.turn(5, [job.id]),
    "ack": lambda consumer, job, _: consumer.ack(job),
    "fail": lambda consumer, job, _: consumer.fail(job),
    "release": lambda consumer, job, _: consumer.release(job, 0.0, attempts=9, exceptions=9),
    "release later": lambda consumer, job, _: consumer.release(job, 5.0, attempts=9, exceptions=9),
    "give back": lambda consumer, job, other: consumer.give_back([job.id, other.id]),
    "park": lambda consumer, job, _: consumer.park(job, "k"),
    "park as unknown": lambda consumer, job, _: consumer.park(job, "unknown:Gone"),
    "lock": lambda consumer, job, _: consumer.locks().acquire("free", job.id, None),
    "unlock": lambda consumer, job, _: consumer.locks().release("k", job.id),
    "mark": mark,
}
STAGES = ("buried", "reserved again", "condemned only")


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stale_holder_changes_nothing(broker: Rig, act: str, stage: str) -> None:
    """C34, C35, B1."""
    stale, fresh = broker.consumer(), broker.consumer()
    broker.push(4)
    job, other, *_ = stale.turn(3, []).jobs
    stale.mark(None, job.id)
    stale.locks().acquire("k", job.id, None)
    if stage == "condemned only":
        of = broker.queue._keys.holder(stale.holder)
        broker.queue._broker.run(broker.queue._scripts.condemn(of, if_over=False))
    else:
        broker.leases.bury(stale.holder, Burial("death"))
    if stage == "reserved again":
        for again in fresh.turn(4, []).jobs:
            fresh.locks().acquire("k", again.id, None)
    before = broker.dump()
    with suppress(LeaseLost):
        assert not _as_bool(ACTS[act](stale, job, other))
    assert broker.dump() == before


def _as_bool(answer: object) -> bool:
    return answer is True


def test_a_stale_parent_cannot_renew_give_back_or_bury_again(broker: Rig) -> None:
    consumer = broker.consumer()
    ids = broker.push(2)
    consumer.turn(2, [])
    broker.leases.bury(consumer.holder, Burial("exit"))
    before = broker.dump()
    assert broker.leases.renew(consumer.holder) is None
    assert broker.leases.give_back(consumer.holder, ids) == []
    assert broker.leases.bury(consumer.holder, Burial("death")) == []
    assert broker.dump() == before


def test_a_turn_of_a_stale_holder_says_that_the_lease_is_lost(broker: Rig) -> None:
    consumer = broker.consumer()
    broker.leases.bury(consumer.holder, Burial("exit"))
    with pytest.raises(LeaseLost, match=consumer.holder):
        consumer.turn(1, [])


def test_an_expired_holder_that_nobody_buried_still_counts_as_nothing_was_given_away(
    broker: Rig,
) -> None:
    consumer = broker.consumer()
    job = broker.start(consumer)
    broker.queue.time_offset = 1000.0
    assert broker.leases.renew(consumer.holder) == 30.0
    assert broker.leases.reap()[0] == 0
    assert consumer.ack(job) is True
