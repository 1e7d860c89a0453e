"""Whatever is done in whatever order, the server agrees with a small model in plain Python."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from meet2be.local.valkey import ValkeyServer
from onqueue.contracts import Burial, ReservedJob
from onqueue.drivers.redis.consumer import RedisConsumer
from onqueue.errors import LeaseLost
from support.redis_rig import Rig, rig

LEASE = 30.0
HOLDERS = 2


@dataclass
class Child:
    """A holder as the model sees it: what it holds in order, and what of that has started."""

    consumer: RedisConsumer
    expiry: float
    alive: bool = True
    held: list[ReservedJob] = field(default_factory=list)
    current: ReservedJob | None = None
    done: list[str] = field(default_factory=list)


class Model(RuleBasedStateMachine):
    """The ready list, the delayed set, what is held, counters, and a clock."""

    server: ValkeyServer

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.now = 0.0
        self.ready: list[str] = []
        self.delayed: list[tuple[float, int, str]] = []
        self.counters: dict[str, tuple[int, int, int]] = {}
        self.ended: set[str] = set()
        self.delays = 0

    @initialize()
    def start(self) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            client.flushdb()
        self.rig: Rig = self.stack.enter_context(rig(self.server.url, lease=LEASE))
        self.children = [self.open() for _ in range(HOLDERS)]

    def teardown(self) -> None:
        self.stack.close()

    def open(self) -> Child:
        return Child(self.rig.consumer(), self.now + LEASE)

    @rule(count=st.integers(1, 4))
    def push(self, count: int) -> None:
        self.ready += self.rig.push(count)

    @rule(delay=st.sampled_from([1.5, 5.5, 40.5]))
    def push_later(self, delay: float) -> None:
        delay = self.own(delay)
        [job_id] = self.rig.push(1, delay=delay)
        self.put_later(job_id, delay)

    @rule(seconds=st.sampled_from([2.0, 10.0, 25.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.rig.queue.time_offset = self.now

    @rule(number=st.integers(0, HOLDERS - 1), want=st.integers(1, 3))
    def turn(self, number: int, want: int) -> None:
        child = self.children[number]
        if not child.alive:
            with pytest.raises(LeaseLost):
                child.consumer.turn(want, child.done)
            return
        if child.current is not None:
            child.done.append(child.current.id)
            child.held.remove(child.current)
            child.current = None
        turn = child.consumer.turn(want, child.done)
        assert turn.refused == []
        self.ended |= set(child.done)
        child.done = []
        self.bring_due()
        expected, self.ready = self.ready[:want], self.ready[want:]
        assert [job.id for job in turn.jobs] == expected
        for job in turn.jobs:
            known = self.counters.get(job.id, (0, 0, 0))
            assert (job.attempts, job.exceptions, job.deaths) == known
        child.held += turn.jobs

    @rule(number=st.integers(0, HOLDERS - 1))
    def start_next(self, number: int) -> None:
        child = self.children[number]
        unstarted = [job for job in child.held if job is not child.current]
        if not unstarted:
            return
        previous, job = child.current, unstarted[0]
        child.consumer.mark(previous.id if previous else None, job.id)
        if not child.alive:
            return
        if previous is not None:
            child.done.append(previous.id)
            child.held.remove(previous)
        child.current = job

    @rule(number=st.integers(0, HOLDERS - 1), fate=st.sampled_from(["ack", "fail"]))
    def end_current(self, number: int, fate: str) -> None:
        child = self.children[number]
        if (job := child.current) is None:
            return
        assert getattr(child.consumer, fate)(job) is child.alive
        if child.alive:
            self.ended.add(job.id)
            self.drop_current(child)

    @rule(number=st.integers(0, HOLDERS - 1), delay=st.sampled_from([0.0, 5.5]))
    def release_current(self, number: int, delay: float) -> None:
        child = self.children[number]
        if (job := child.current) is None:
            return
        delay = self.own(delay)
        attempts, exceptions = job.attempts + 1, job.exceptions + 1
        released = child.consumer.release(job, delay, attempts=attempts, exceptions=exceptions)
        assert released is child.alive
        if child.alive:
            self.counters[job.id] = (attempts, exceptions, job.deaths)
            self.drop_current(child)
            if delay:
                self.put_later(job.id, delay)
            else:
                self.ready.append(job.id)

    @rule(number=st.integers(0, HOLDERS - 1), by_parent=st.booleans())
    def give_back(self, number: int, by_parent: bool) -> None:
        child = self.children[number]
        unstarted = [job for job in child.held if job is not child.current]
        ids = [job.id for job in unstarted]
        if by_parent:
            gone = self.rig.leases.give_back(child.consumer.holder, ids)
            assert gone == (ids if child.alive else [])
        child.consumer.give_back(ids)
        if child.alive:
            self.ready = ids + self.ready
            child.held = [child.current] if child.current else []

    @rule(number=st.integers(0, HOLDERS - 1))
    def renew(self, number: int) -> None:
        child = self.children[number]
        self.rig.arrive(child.consumer)
        renewed = self.rig.leases.renew(child.consumer.holder)
        assert renewed == (LEASE if child.alive else None)
        child.expiry = self.now + LEASE

    @rule(
        number=st.integers(0, HOLDERS - 1),
        kind=st.sampled_from(["exit", "death", "timeout", "lapsed"]),
        delay=st.sampled_from([0.0, 5.5]),
    )
    def bury(self, number: int, kind: str, delay: float) -> None:
        child = self.children[number]
        delay = self.own(delay)
        self.rig.arrive(child.consumer)
        found = self.rig.leases.bury(child.consumer.holder, Burial(kind, delay))  # type: ignore[arg-type]
        flying = [child.current.id] if child.alive and child.current else []
        assert [job.id for job in found] == flying
        if child.alive:
            self.buried(child, kind, delay)

    @rule()
    def reap(self) -> None:
        for child in self.children:
            self.rig.arrive(child.consumer)
        # the one that ended first is buried first
        over = [child for child in self.children if child.alive and child.expiry <= self.now]
        reaped, _ = self.rig.leases.reap()
        assert reaped == len(over)
        if len(over) == 1:
            self.buried(over[0], "lapsed", 0.0)
        elif over:
            mark = set(self.ready)
            for child in over:
                self.buried(child, "lapsed", 0.0)
            # the order among holders that lapsed at one instant is the server's affair
            front = len(self.ready) - len(mark)
            stored: Any = self.rig.client.lrange("{onqueue:redis}:ready:default", 0, -1)[:front]
            assert sorted(stored) == sorted(one.encode() for one in self.ready[:front])
            self.ready[:front] = [one.decode() for one in stored]

    @precondition(lambda self: any(not child.alive for child in self.children))
    @rule()
    def start_anew(self) -> None:
        self.children = [child if child.alive else self.open() for child in self.children]

    @invariant()
    def the_server_agrees(self) -> None:
        if not hasattr(self, "rig"):
            return
        size = self.rig.queue.size("default")
        living = [child for child in self.children if child.alive]
        waiting_ends = sum(len(child.done) for child in living)
        assert size.ready == len(self.ready)
        assert size.delayed == len(self.delayed)
        assert size.reserved == sum(len(child.held) for child in living) + waiting_ends
        ids = self.ready + [job_id for _, _, job_id in self.delayed]
        ids += [job.id for child in living for job in child.held]
        assert self.rig.queue.knows([*ids, *self.ended]) == set(ids)

    # ---- steps ----

    def buried(self, child: Child, kind: str, delay: float) -> None:
        child.alive = False
        self.ended |= set(child.done)
        flying = child.current
        self.ready = [job.id for job in child.held if job is not flying] + self.ready
        if flying is None:
            return
        spent, died = int(kind != "exit"), int(kind == "death")
        self.counters[flying.id] = (
            flying.attempts + spent,
            flying.exceptions,
            flying.deaths + died,
        )
        if delay:
            self.put_later(flying.id, delay)
        else:
            self.ready.insert(0, flying.id)

    def bring_due(self) -> None:
        due = sorted(entry for entry in self.delayed if entry[0] <= self.now)
        self.delayed = [entry for entry in self.delayed if entry not in due]
        self.ready += [job_id for _, _, job_id in due]

    def own(self, delay: float) -> float:
        """Return a delay no other job has, so that no two are due in the same millisecond."""
        self.delays += 1
        return delay + self.delays * 0.002 if delay else 0.0

    def put_later(self, job_id: str, delay: float) -> None:
        self.delayed.append((self.now + delay, self.delays, job_id))

    @staticmethod
    def drop_current(child: Child) -> None:
        assert child.current is not None
        child.held.remove(child.current)
        child.current = None


@pytest.fixture
def modelled(valkey_server: ValkeyServer) -> type[Model]:
    Model.server = valkey_server
    return Model


def test_the_server_agrees_with_the_model(modelled: type[Model]) -> None:
    run_state_machine_as_test(
        modelled,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
