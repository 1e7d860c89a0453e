"""The ledger of batches in SQL: told twice, told at once, told by whoever died in between."""

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from onqueue.bus.batch_tables import create_all
from onqueue.bus.batches_database import ConnectionBatches, DatabaseBatches
from onqueue.connections import QueueManager
from onqueue.contracts import Message
from onqueue.errors import BrokerUnavailable, ConfigurationError
from onqueue.plans import BatchPlan, ChainEdit, ChainPlan, Claim, Tie
from support.broker_double import BrokerDouble
from support.sql_engines import database_url, engine_for

KINDS = ("before", "progress", "then", "catch", "finally")


class Chaining(BrokerDouble):
    """Takes chains, too."""

    def __init__(self, config: Any) -> None:
        super().__init__(config.name, config)
        self.supports |= {"chains", "leases"}

    def start_chain(self, plan: ChainPlan) -> bool:
        self._answer()
        return True


def chaining(config: Any, clock: Any) -> Chaining:
    """Make one for a manager."""
    return Chaining(config)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = engine_for(database_url(request, request.param, tmp_path))
    create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def manager(engine: Engine) -> QueueManager:
    connections = {"redis": {"driver": f"{__name__}:chaining"}}
    return QueueManager("redis", connections, batches={"driver": "database", "engine": engine})


@pytest.fixture
def broker(manager: QueueManager) -> Chaining:
    queue = manager.connection()
    assert isinstance(queue, Chaining)
    return queue


@pytest.fixture
def store(manager: QueueManager) -> ConnectionBatches:
    assert isinstance(manager.batches, DatabaseBatches)
    return manager.batches.of(manager, "redis")


def messages(count: int, first: int = 1, queue: str = "default") -> list[Message]:
    """Return so many jobs, numbered."""
    return [Message(f"{first + at:032x}", queue, b"{}") for at in range(count)]


def plan(*members: Message | ChainPlan, allow: bool = True) -> BatchPlan:
    """Return a batch with one callback of each kind."""
    callbacks: Any = {kind: messages(1, 1000 + at, kind) for at, kind in enumerate(KINDS)}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return BatchPlan("b" * 32, "n", members, now, allow, callbacks, {"tenant": "7"})


def told(broker: Chaining) -> dict[str, int]:
    """Return how many callbacks of each kind were pushed."""
    counts = Counter(message.queue for message in broker.pushed)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def test_an_end_that_is_told_twice_counts_once(store: ConnectionBatches, broker: Chaining) -> None:
    """C66. C74."""
    jobs = messages(3)
    assert store.start_batch(plan(*jobs))
    assert not store.start_batch(plan(*jobs))
    for _ in range(2):
        store.settle("b" * 32, jobs[0].id, "succeeded")
        store.settle("b" * 32, jobs[1].id, "failed")
    state = store.batch("b" * 32)
    assert state is not None
    assert (state.pending, state.succeeded, state.failed) == (1, 1, 1)
    assert (state.context, state.created_at.tzinfo) == ({"tenant": "7"}, UTC)
    assert told(broker) == {"before": 1, "catch": 1, "progress": 2}
    store.settle("b" * 32, jobs[2].id, "expired")
    assert told(broker) == {"before": 1, "catch": 1, "progress": 2, "then": 1, "finally": 1}
    store.settle("b" * 32, "f" * 32, "succeeded")
    store.settle("a" * 32, jobs[0].id, "succeeded")
    assert store.failed_members("b" * 32) == [jobs[1].id]


def test_ends_told_at_once_are_all_counted(store: ConnectionBatches, broker: Chaining) -> None:
    """C74."""
    jobs = messages(24)
    store.start_batch(plan(*jobs))
    ends = [(job.id, "failed" if at % 5 == 0 else "succeeded") for at, job in enumerate(jobs)]

    def tell(share: list[tuple[str, str]]) -> None:
        for job_id, outcome in share:
            store.settle("b" * 32, job_id, outcome)

    shares = [ends[at::3] for at in range(3)] + [ends[at::2] for at in range(2)]
    threads = [threading.Thread(target=tell, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = store.batch("b" * 32)
    assert state is not None and state.finished_at is not None
    assert (state.succeeded, state.failed, state.pending) == (19, 5, 0)
    assert told(broker) == {"before": 1, "catch": 1, "progress": 24, "then": 1, "finally": 1}


def test_callbacks_that_could_not_be_pushed_come_when_the_end_is_told_again(
    store: ConnectionBatches, broker: Chaining
) -> None:
    """C71."""
    [job] = messages(1)
    store.start_batch(plan(job))
    broker.away = True
    with pytest.raises(BrokerUnavailable):
        store.settle("b" * 32, job.id, "succeeded")
    broker.away = False
    for _ in range(2):
        store.settle("b" * 32, job.id, "succeeded")
    assert told(broker) == {"before": 1, "progress": 1, "then": 1, "finally": 1}


def test_links_behind_a_failed_one_are_broken_until_it_is_healed(
    store: ConnectionBatches, broker: Chaining
) -> None:
    """C69. C70."""
    links = messages(4, 10)
    store.start_batch(plan(ChainPlan("c" * 32, links), *messages(1)))
    more = ChainEdit(prepend=messages(1, 20), append=messages(1, 30))
    store.settle("b" * 32, links[0].id, "succeeded", more)
    store.settle("b" * 32, more.prepend[0].id, "failed")
    state = store.batch("b" * 32)
    assert state is not None
    assert (state.total, state.pending, state.broken, state.failed) == (7, 1, 4, 1)
    store.settle("b" * 32, messages(1)[0].id, "succeeded")
    assert told(broker)["finally"] == 1
    store.settle("b" * 32, more.prepend[0].id, "succeeded")
    healed = store.batch("b" * 32)
    assert healed is not None
    assert (healed.pending, healed.broken, healed.failed, healed.finished_at) == (4, 0, 0, None)
    for link in (*links[1:], more.append[0]):
        store.settle("b" * 32, link.id, "succeeded")
    assert told(broker)["finally"] == told(broker)["then"] == 1


def test_a_failure_or_somebody_cancels_and_what_waits_ends(store: ConnectionBatches) -> None:
    """C57. C68."""
    jobs = messages(3)
    store.start_batch(plan(*jobs, allow=False))
    assert not store.is_cancelled("b" * 32, jobs[1].id)
    store.settle("b" * 32, jobs[0].id, "failed")
    assert store.is_cancelled("b" * 32, jobs[1].id)
    assert not store.is_cancelled("b" * 32, jobs[0].id)
    assert not store.cancel_batch("b" * 32)
    for job in jobs[1:]:
        store.settle("b" * 32, job.id, "cancelled")
    state = store.batch("b" * 32)
    assert state is not None and (state.cancelled, state.failed) == (2, 1)
    assert store.forget_batch("b" * 32) and not store.forget_batch("b" * 32)
    assert store.batch("b" * 32) is None


def test_a_batch_that_the_broker_does_not_take_is_cancelled(
    store: ConnectionBatches, broker: Chaining
) -> None:
    broker.away = True
    with pytest.raises(BrokerUnavailable):
        store.start_batch(plan(*messages(2)))
    state = store.batch("b" * 32)
    assert state is not None and state.cancelled_at is not None


def test_what_cannot_be_counted_is_refused(store: ConnectionBatches) -> None:
    unique = Message("1" * 32, "q", b"{}", tie=Tie(claim=Claim("k")))
    with pytest.raises(ConfigurationError, match="keep batches in their broker"):
        store.start_batch(plan(ChainPlan("c" * 32, [unique])))
    assert store.batches() == []


def test_a_member_that_loses_its_lock_is_skipped(
    store: ConnectionBatches, broker: Chaining
) -> None:
    """C59."""
    one, other = (
        Message(str(n) * 32, "q", b"{}", tie=Tie(claim=Claim("k"), batch="b" * 32)) for n in (1, 2)
    )
    store.start_batch(plan(one, other))
    state = store.batch("b" * 32)
    assert state is not None and (state.pending, state.skipped) == (1, 1)
    assert store.add_to_batch("b" * 32, messages(2, 5)) == 2
    assert store.add_to_batch("a" * 32, messages(2, 5)) == 0
