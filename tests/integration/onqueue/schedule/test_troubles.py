"""What queues stand on: told once when it is in trouble, and once when it is well again."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from meet2be.local.valkey import ValkeyServer
from onqueue import events
from onqueue.connections import QueueManager
from onqueue.console import build_group
from onqueue.drivers.redis import RedisQueue
from onqueue.errors import UnsupportedByDriver
from onqueue.failed import MemoryFailedJobs
from onqueue.schedule import Schedule
from onqueue.schedule.store import store_of
from onqueue.schedule.troubles import watch_scheduler, watch_servers
from onqueue.testing.clock import FakeClock
from support.servers import private_valkey
from workers.relay import steps

Told = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def own_server() -> Iterator[ValkeyServer]:
    with private_valkey(appendfsync="no") as server:
        yield server


@pytest.fixture
def manager(own_server: ValkeyServer) -> Iterator[QueueManager]:
    redis = {"driver": "redis", "url": own_server.url}
    connections = {"redis": redis, "long": redis, "sync": {"driver": "sync"}}
    clock = FakeClock()
    made = QueueManager("redis", connections, MemoryFailedJobs(clock), clock=clock)
    made.schedule = Schedule(connection="redis")
    queue = made.connection("redis")
    assert isinstance(queue, RedisQueue)
    queue._broker.ask(b"*1\r\n$8\r\nFLUSHALL\r\n")
    yield made
    set_policy(made, "noeviction")
    made.close()


def set_policy(manager: QueueManager, policy: str) -> None:
    """Have the server do this when memory is short."""
    say(manager, "CONFIG", "SET", "maxmemory-policy", policy)


def say(manager: QueueManager, *words: str) -> None:
    """Send the server a command."""
    queue = manager.connection("redis")
    assert isinstance(queue, RedisQueue)
    parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    queue._broker.ask(f"*{len(words)}\r\n{parts}".encode())


def pass_time(manager: QueueManager, seconds: float) -> None:
    """Move the clock of the server on."""
    queue = manager.connection("redis")
    assert isinstance(queue, RedisQueue)
    queue.time_offset += seconds


@pytest.fixture
def told() -> Iterator[Told]:
    found: Told = []

    def note(event: events.ConnectionTroubled) -> None:
        found.append((event.connection, event.kind, event.news))

    with events.connection_troubled.connected_to(note):
        yield found


def test_a_server_that_would_delete_jobs_is_told_once_and_when_it_is_well_again(
    manager: QueueManager, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """B17: several connections on one server are one trouble."""
    assert [one.why for one in watch_servers(manager)] == [""]
    set_policy(manager, "allkeys-lru")
    for _ in range(2):
        [found] = watch_servers(manager)
        assert "'allkeys-lru'" in found.why
    set_policy(manager, "noeviction")
    watch_servers(manager)
    assert told == [("redis", "server", "began"), ("redis", "server", "over")]
    assert "set it to 'noeviction'" in caplog.text


def test_a_replica_is_told_though_nothing_can_be_written_down_there(
    manager: QueueManager, told: Told
) -> None:
    """B17."""
    say(manager, "REPLICAOF", "127.0.0.1", "1")
    try:
        for _ in range(2):
            assert "replica" in watch_servers(manager, ["redis"])[0].why
        monitor = ["monitor", "--server", "redis:default"]
        assert CliRunner().invoke(build_group(lambda: manager), monitor).exit_code != 0
    finally:
        say(manager, "REPLICAOF", "NO", "ONE")
    assert [(where, kind) for where, kind, _ in told] == [("redis", "server")] * 3


def test_a_schedule_that_nobody_leads_for_long_is_told_with_reminders(
    manager: QueueManager, told: Told
) -> None:
    """B17: one alert, one reminder each window, one when it is over."""
    for seconds in (0, 30, 31, 60, 3_600, 61):
        pass_time(manager, seconds)
        found = watch_scheduler(manager, remind=3_600)
        assert found is not None
        assert found.why
    assert [news for _, _, news in told] == ["began", "goes on"]
    store = store_of(manager)
    store.lead("token", 15.0, "host:1")
    found = watch_scheduler(manager, remind=3_600)
    store.close()
    assert found is not None
    assert (found.why, told[-1]) == ("", ("redis", "scheduler", "over"))


def test_a_change_of_leaders_is_no_trouble(manager: QueueManager, told: Told) -> None:
    watch_scheduler(manager)
    pass_time(manager, 59)
    watch_scheduler(manager)
    store = store_of(manager)
    store.lead("token", 15.0, "host:2")
    watch_scheduler(manager)
    store.resign("token")
    store.close()
    watch_scheduler(manager)
    pass_time(manager, 59)
    watch_scheduler(manager)
    assert told == []


def test_without_a_schedule_there_is_nothing_to_lead(manager: QueueManager) -> None:
    manager.schedule = None
    assert watch_scheduler(manager) is None
    with pytest.raises(UnsupportedByDriver, match="--server"):
        watch_servers(manager, ["sync"])


def test_the_platform_s_relay_watches_what_the_schedule_cannot(
    manager: QueueManager, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """B17: a process of its own, which logs an error and goes on."""
    database: Any = SimpleNamespace(engine=None)
    services: Any = SimpleNamespace(queues=manager, database=database, clock=manager.clock)
    watching = steps(services)[-1]
    set_policy(manager, "allkeys-lfu")
    for seconds in (0, 61):
        pass_time(manager, seconds)
        assert watching.step() == 30.0
    assert told == [("redis", "server", "began"), ("redis", "scheduler", "began")]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2


def test_the_monitor_shows_both_and_ends_with_its_code(
    manager: QueueManager, caplog: pytest.LogCaptureFixture
) -> None:
    """B17."""
    caplog.set_level(logging.CRITICAL)

    def run(*arguments: str) -> tuple[int, str]:
        given = ["monitor", "redis:default", "--exit-code", *arguments]
        result = CliRunner().invoke(build_group(lambda: manager), given)
        return result.exit_code, result.output

    assert run()[0] == 0
    set_policy(manager, "volatile-ttl")
    code, output = run("--server", "--scheduler")
    assert code == 3
    assert "redis, server: 'maxmemory-policy' is 'volatile-ttl'" in output
    assert "redis, scheduler: no process leads the schedule" in output
    code, output = run("--server", "--json")
    assert code == 3
    assert '"kind": "server"' in output
