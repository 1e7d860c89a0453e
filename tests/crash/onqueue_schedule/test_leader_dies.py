"""Three schedulers, the leading one killed in the middle of a tick, again and again."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from onqueue import QueueManager
from onqueue.schedule.store import store_of
from onqueue.ticks import ScheduleStore, TickRecord
from support.schedule_forks import ForkedScheduler, make_manager
from support.waiting import eventually

pytestmark = pytest.mark.crash

LEASE = 0.4
SECOND = 1000

STEPS = [
    ("settle:before", 1),
    ("settle:after", 1),
    ("settle:before", 2),
    ("settle:after", 2),
    ("settle:before", 3),
    ("settle:after", 3),
]
"""A leader settles the tick of "near", opens that of "far", pushes its job and closes it."""


@pytest.fixture
def schedulers() -> Iterator[list[ForkedScheduler]]:
    started: list[ForkedScheduler] = []
    yield started
    for scheduler in started:
        scheduler.end()


@pytest.fixture
def manager(redis_url: str) -> Iterator[QueueManager]:
    made = make_manager(redis_url)
    yield made
    made.close()


@pytest.fixture
def store(manager: QueueManager) -> Iterator[ScheduleStore]:
    made = store_of(manager)
    yield made
    made.close()


def test_each_tick_runs_once_whoever_dies_in_its_middle(
    tmp_path: Path,
    redis_url: str,
    manager: QueueManager,
    store: ScheduleStore,
    schedulers: list[ForkedScheduler],
) -> None:
    """B9."""
    ran: Counter[str] = Counter()
    rest = [*STEPS]
    alive: list[ForkedScheduler] = []
    while rest or alive:
        while rest and len(alive) < 3:
            alive.append(ForkedScheduler(tmp_path, redis_url, LEASE, *rest.pop(0)))
            schedulers.append(alive[-1])
        dead = _wait_for_a_death(manager, alive, ran)
        assert dead.ends() == -signal.SIGKILL
        alive.remove(dead)
    schedulers += [ForkedScheduler(tmp_path, redis_url, LEASE) for _ in range(3)]

    for entry in ("near", "far"):
        due = store.look([entry]).entries[entry].last
        assert due is not None
        eventually(lambda entry=entry, due=due: _last(store, entry) > due)  # type: ignore[misc]
    for scheduler in schedulers[-3:]:
        scheduler.signal(signal.SIGTERM)
        assert scheduler.ends() == 0
    _count_and_clear(manager, ran)
    for entry, connection in (("near", "redis"), ("far", "other")):
        _check(store.history(entry, 200), ran[connection])


def test_a_leader_stopped_beyond_its_lease_comes_back_and_changes_nothing(
    tmp_path: Path,
    redis_url: str,
    manager: QueueManager,
    store: ScheduleStore,
    schedulers: list[ForkedScheduler],
) -> None:
    """B1, B9."""
    ran: Counter[str] = Counter()
    schedulers += [ForkedScheduler(tmp_path, redis_url, LEASE) for _ in range(2)]
    eventually(lambda: len(store.history("far", 9)) >= 1)
    leader = next(one for one in schedulers if store.term().name.endswith(f":{one.pid}"))
    leader.signal(signal.SIGSTOP)
    eventually(lambda: _other(store, leader))
    seen = _last(store, "far")
    eventually(lambda: _last(store, "far") > seen)
    leader.signal(signal.SIGCONT)
    seen = _last(store, "far")
    eventually(lambda: _last(store, "far") > seen)
    for scheduler in schedulers:
        scheduler.signal(signal.SIGTERM)
        assert scheduler.ends() == 0
    _count_and_clear(manager, ran)
    for entry, connection in (("near", "redis"), ("far", "other")):
        _check(store.history(entry, 200), ran[connection])


def _other(store: ScheduleStore, leader: ForkedScheduler) -> bool:
    name = store.term().name
    return name != "" and not name.endswith(f":{leader.pid}")


def _wait_for_a_death(
    manager: QueueManager, alive: list[ForkedScheduler], ran: Counter[str]
) -> ForkedScheduler:
    """Return the scheduler that was struck; its jobs are taken away meanwhile, as if they ran."""

    def struck() -> ForkedScheduler:
        _count_and_clear(manager, ran)
        dead = [scheduler for scheduler in alive if scheduler.marker.exists()]
        assert dead
        return dead[0]

    return eventually(struck)


def _count_and_clear(manager: QueueManager, ran: Counter[str]) -> None:
    for name in manager.configs:
        ran[name] += manager.connection(name).clear("default")


def _last(store: ScheduleStore, entry: str) -> int:
    return store.look([entry]).entries[entry].last or 0


def _check(records: list[TickRecord], jobs: int) -> None:
    """Hold the history against the jobs: no tick is left out, none is there twice."""
    ticks = [record.tick for record in reversed(records)]
    assert ticks == list(range(ticks[0], ticks[-1] + SECOND, SECOND))
    assert {record.outcome for record in records} == {"ran"}
    assert len({record.job for record in records}) == len(records) == jobs
    assert len({record.by for record in records}) > 1, "several led"
