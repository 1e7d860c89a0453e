"""`monitor` on a real broker: a breach is told once, and once when it is over."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner, Result

from onqueue import events
from onqueue.connections import QueueManager
from onqueue.console import build_group
from onqueue.contracts import Message
from onqueue.drivers.redis import RedisQueue
from onqueue.errors import BrokerUnavailable
from onqueue.failed import MemoryFailedJobs
from onqueue.monitor import Limits, watch
from onqueue.testing.clock import START, FakeClock
from support.failures import fail
from support.outbox_records import job_id

Run = Callable[..., Result]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def manager(redis_url: str, clock: FakeClock) -> Iterator[QueueManager]:
    made = make(redis_url, clock)
    yield made
    made.close()


def make(redis_url: str, clock: FakeClock) -> QueueManager:
    connections = {"redis": {"driver": "redis", "url": redis_url}, "sync": {"driver": "sync"}}
    return QueueManager("redis", connections, MemoryFailedJobs(clock), clock=clock)


@pytest.fixture
def run(manager: QueueManager) -> Run:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(build_group(lambda: manager), ["monitor", *arguments])

    return invoke


@pytest.fixture
def told() -> Iterator[list[tuple[str, str, str]]]:
    found: list[tuple[str, str, str]] = []

    def note(event: events.QueueBusy) -> None:
        found.append((event.queue, event.measure, event.news))

    with events.queue_busy.connected_to(note):
        yield found


def push(manager: QueueManager, count: int, *, queue: str = "default", age: float = 0) -> None:
    at = int((START.timestamp() - age) * 1000)
    payload = b'{"v":1,"job":"J","at":%d}' % at
    for number in range(count):
        manager.connection().push(Message(job_id(number + 1), queue, payload))


def test_a_breach_is_told_once_and_once_when_it_is_over(
    run: Run, manager: QueueManager, told: list[tuple[str, str, str]]
) -> None:
    """C84."""
    push(manager, 3)
    for _ in range(3):
        assert run("redis:default", "--max=3").exit_code == 0
    assert told == [("default", "size", "began")]
    manager.connection().forget(job_id(1))
    for _ in range(3):
        run("redis:default", "--max=3")
    assert told == [("default", "size", "began"), ("default", "size", "over")]
    push(manager, 1)
    run("redis:default", "--max=3")
    assert told[2:] == [("default", "size", "began")]


def test_below_the_limit_nothing_is_told(
    run: Run, manager: QueueManager, told: list[tuple[str, str, str]]
) -> None:
    """C84."""
    push(manager, 2)
    run("redis:default,redis:exports", "--max=3")
    assert told == []


def test_many_monitors_at_once_and_anew_tell_it_once(
    manager: QueueManager, redis_url: str, clock: FakeClock, told: list[tuple[str, str, str]]
) -> None:
    """C84."""
    push(manager, 3)
    others = [make(redis_url, clock) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda one: watch(one, [("redis", "default")], Limits(3)), others))
    assert told == [("default", "size", "began")]
    manager.connection().clear("default")
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda one: watch(one, [("redis", "default")], Limits(3)), others))
    assert told[1:] == [("default", "size", "over")]
    for one in others:
        one.close()


def test_the_age_of_the_oldest_ready_job_is_a_limit_of_its_own(
    run: Run, manager: QueueManager, told: list[tuple[str, str, str]]
) -> None:
    """B17."""
    push(manager, 1, age=30)
    run("redis:default", "--max-age=60")
    assert told == []
    manager.connection().clear("default")
    push(manager, 1, age=61)
    result = run("redis:default", "--max-age=60", "--json")
    assert told == [("default", "age", "began")]
    [row] = json.loads(result.output)
    assert (row["busy"], row["age"], row["size"]) == (["age"], 61, 1)
    manager.connection().clear("default")
    run("redis:default", "--max-age=60")
    assert told[1:] == [("default", "age", "over")]


def test_many_failures_in_a_short_time_are_a_limit_of_their_own(
    run: Run, manager: QueueManager, clock: FakeClock, told: list[tuple[str, str, str]]
) -> None:
    """B17."""
    for number in range(1, 4):
        fail(manager, number)
    fail(manager, 4, queue="mails")
    fail(manager, 5, hours=2)
    for _ in range(2):
        assert "failed" in run("redis:default", "--max-failed=3").output
    run("redis:default", "--max-failed=4")
    assert told == [("default", "failed", "began"), ("default", "failed", "over")]
    clock.advance(3600)
    [row] = json.loads(run("redis:default", "--max-failed=1", "--json").output)
    assert (row["failed"], row["busy"]) == (0, [])


def test_a_breach_that_goes_on_is_told_again_when_asked_for(
    run: Run, manager: QueueManager, told: list[tuple[str, str, str]]
) -> None:
    """B17: one reminder a window."""
    queue = manager.connection()
    assert isinstance(queue, RedisQueue)
    push(manager, 3)
    for seconds in (0, 30, 61, 90, 122):
        queue.time_offset = seconds
        run("redis:default", "--max=3", "--remind=60")
    assert [news for _, _, news in told] == ["began", "goes on", "goes on"]


def test_a_queue_that_is_busy_shows_in_the_exit_code_when_asked_for(
    run: Run, manager: QueueManager
) -> None:
    push(manager, 1)
    assert run("default", "--max=1", "--exit-code").exit_code == 3
    assert run("redis", "--max=2", "--exit-code").exit_code == 0
    assert "default" in run("redis:default", "--max=1").output


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        ([], 2, "Missing argument"),
        (["redsi:default"], 1, "There is no connection 'redsi', did you mean 'redis'?"),
        (["sync:default"], 1, "'queue monitor' needs inspection"),
        (["redis:default", "--max=0"], 2, "--max"),
        (["redis:default", "--every=1", "--exit-code"], 2, "--every never ends by itself"),
    ],
)
def test_what_cannot_be_watched_is_told(
    run: Run, arguments: list[str], code: int, problem: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert problem in result.output


def test_a_monitor_that_goes_on_outlives_its_broker(
    run: Run, manager: QueueManager, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def size(_queue: str) -> object:
        looks.append(clock.monotonic())
        if len(looks) == 3:
            raise KeyboardInterrupt
        raise BrokerUnavailable("redis", "nowhere", "gone")

    monkeypatch.setattr(manager.connection(), "size", size)
    result = run("redis:default", "--every=30")
    assert result.exit_code == 1
    assert result.output.count("cannot be reached: gone. Check") == 2
    assert [later - looks[0] for later in looks] == [0, 30, 60]
