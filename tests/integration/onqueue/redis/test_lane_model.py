"""Fair lanes, a limit and checkpoints in whatever order: a small model in plain Python agrees."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from meet2be.local.valkey import ValkeyServer
from onqueue.contracts import Burial, ReservedJob, Tie
from onqueue.drivers.redis.consumer import RedisConsumer
from onqueue.quotas import Quota
from support.redis_rig import Rig, message, rig

HOLDERS = 2
ONE_SLOT = Quota("slots", "of A", 1)
LANES = ("A", "B", "")
AT_ALL = 100


@dataclass
class Child:
    """A holder as the model sees it."""

    consumer: RedisConsumer
    held: list[ReservedJob] = field(default_factory=list)
    current: ReservedJob | None = None
    done: list[str] = field(default_factory=list)


class Model(RuleBasedStateMachine):
    """Jobs of lane A run one at a time, those of B and of no lane as they like."""

    server: ValkeyServer

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.lane_of: dict[str, str] = {}
        self.waiting: set[str] = set()
        self.parked: list[str] = []
        self.slots: dict[str, Child] = {}
        self.notes: dict[str, bytes] = {}
        self.ended: list[str] = []
        self.writes = 0

    @initialize()
    def start(self) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            client.flushdb()
        self.rig: Rig = self.stack.enter_context(rig(self.server.url))
        self.children = [Child(self.rig.consumer()) for _ in range(HOLDERS)]

    def teardown(self) -> None:
        """Let all that is there run to its end: nothing is lost and nothing is there twice."""
        try:
            if hasattr(self, "rig"):
                self.run_all()
        finally:
            self.stack.close()

    # ---- what may happen ----

    @rule(lane=st.sampled_from(LANES), count=st.integers(1, 3), told=st.booleans())
    def push(self, lane: str, count: int, told: bool) -> None:
        payload = f'{{"v":1,"t":{{"fair":"{lane}"}}}}' if lane and told else "{}"
        tie = Tie(fair=lane) if lane else None
        sent = [message(payload=payload.encode(), tie=tie) for _ in range(count)]
        assert self.rig.queue.push_many(sent) == count
        for one in sent:
            self.lane_of[one.id] = lane
            self.waiting.add(one.id)

    @rule(number=st.integers(0, HOLDERS - 1), want=st.integers(1, 4))
    def turn(self, number: int, want: int) -> None:
        self.take(self.children[number], want)

    @rule(number=st.integers(0, HOLDERS - 1))
    def begin(self, number: int) -> None:
        self.begin_next(self.children[number])

    @rule(number=st.integers(0, HOLDERS - 1))
    def write(self, number: int) -> None:
        child = self.children[number]
        if (job := child.current) is None:
            return
        self.writes += 1
        notes = child.consumer.checkpoints()
        assert notes.load(job.id) == self.notes.get(job.id)
        self.notes[job.id] = b"%d" % self.writes
        assert notes.save(job.id, self.notes[job.id]) is True

    @rule(number=st.integers(0, HOLDERS - 1), fate=st.sampled_from(["ack", "fail", "later"]))
    def end(self, number: int, fate: str) -> None:
        self.end_current(self.children[number], fate)

    @rule(number=st.integers(0, HOLDERS - 1))
    def give_back(self, number: int) -> None:
        child = self.children[number]
        child.consumer.give_back([job.id for job in child.held])
        self.put_back(child)

    @rule(number=st.integers(0, HOLDERS - 1), kind=st.sampled_from(["exit", "death", "lapsed"]))
    def bury(self, number: int, kind: str) -> None:
        child = self.children[number]
        self.rig.arrive(child.consumer)
        found = self.rig.leases.bury(child.consumer.holder, Burial(kind))  # type: ignore[arg-type]
        flying = [] if child.current is None else [child.current.id]
        assert [job.id for job in found] == flying
        self.put_back(child)
        self.waiting.update(flying)
        self.ended += child.done
        self.slots = {one: owner for one, owner in self.slots.items() if owner is not child}
        self.children[number] = Child(self.rig.consumer())

    @invariant()
    def the_server_agrees(self) -> None:
        if not hasattr(self, "rig"):
            return
        held = sum(
            len(child.held) + len(child.done) + (child.current is not None)
            for child in self.children
        )
        size = self.rig.queue.size("default")
        found = (size.ready, size.reserved, size.parked)
        assert found == (len(self.waiting), held, len(self.parked))
        assert self.rig.client.hlen("{onqueue:redis}:quota:s:of%20A") == len(self.slots)

    # ---- steps ----

    def take(self, child: Child, want: int) -> int:
        """Make a trip; what it brings waited, or was the first of those that were parked."""
        turn = child.consumer.turn(want, child.done)
        assert turn.refused == []
        self.settle(child.done)
        child.done = []
        for job in turn.jobs:
            if self.parked and job.id == self.parked[0]:
                self.parked.pop(0)
                assert not self.slots, "the one slot is taken"
                self.slots[job.id] = child
                continue
            self.waiting.remove(job.id)
        child.held += turn.jobs
        if not turn.jobs:
            assert not self.waiting
            assert not self.parked or self.slots
        return len(turn.jobs)

    def begin_next(self, child: Child) -> None:
        """Let the next job through its limit, or let it wait."""
        if child.current is not None or not child.held:
            return
        job = child.held.pop(0)
        child.consumer.mark(None, job.id)
        if self.lane_of[job.id] == "A":
            wait = child.consumer.limits().admit([ONE_SLOT], job.id, job.queue)
            is_free = job.id in self.slots or not (self.slots or self.parked)
            assert (wait is None) is is_free
            if not is_free:
                child.consumer.wait_turn(job, [ONE_SLOT])
                self.parked.append(job.id)
                return
            self.slots[job.id] = child
        child.current = job

    def end_current(self, child: Child, fate: str) -> None:
        """End the job that runs, now or with the next trip."""
        if (job := child.current) is None:
            return
        child.current = None
        if fate == "later":
            child.done.append(job.id)
        else:
            assert getattr(child.consumer, fate)(job) is True
            self.settle([job.id])

    def settle(self, ended: list[str]) -> None:
        """Take note of ends that are confirmed."""
        self.ended += ended
        for job_id in ended:
            self.slots.pop(job_id, None)

    def put_back(self, child: Child) -> None:
        """Put what a child has not started back."""
        self.waiting.update(job.id for job in child.held)
        child.held = []

    def run_all(self) -> None:
        for _ in range(AT_ALL):
            brought = 0
            for child in self.children:
                self.end_current(child, "ack")
                brought += self.take(child, 4)
                self.begin_next(child)
            is_busy = any(child.held or child.current or child.done for child in self.children)
            if not (brought or is_busy or self.parked):
                break
        assert sorted(self.ended) == sorted(self.lane_of)
        assert self.rig.queue.size("default").total == 0


@pytest.fixture
def modelled(valkey_server: ValkeyServer) -> type[Model]:
    Model.server = valkey_server
    return Model


def test_lanes_limits_and_checkpoints_agree_with_the_model(modelled: type[Model]) -> None:
    """B3, B4, B10."""
    run_state_machine_as_test(
        modelled,
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
