"""A console on a manager whose brokers are doubles."""

from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result

from onqueue.connections import QueueManager
from onqueue.console import build_group
from onqueue.failed import MemoryFailedJobs
from onqueue.testing.clock import FakeClock
from support.broker_double import BrokerDouble

DRIVER = "support.broker_double:broker_double"
Run = Callable[..., Result]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def manager(clock: FakeClock) -> QueueManager:
    return QueueManager(
        "redis",
        {
            "redis": {"driver": DRIVER},
            "redis-long": {"driver": DRIVER, "queue": "exports"},
            "sync": {"driver": "sync"},
        },
        MemoryFailedJobs(clock),
        clock=clock,
    )


@pytest.fixture
def broker(manager: QueueManager) -> BrokerDouble:
    found = manager.connection("redis")
    assert isinstance(found, BrokerDouble)
    return found


@pytest.fixture
def run(manager: QueueManager) -> Run:
    group: click.Group = build_group(lambda: manager)

    def invoke(*arguments: str, typed: str | None = None) -> Result:
        result = CliRunner().invoke(group, arguments, input=typed)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke
