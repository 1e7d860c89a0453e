"""The manager of a process's connections."""

from collections.abc import Iterator

import pytest

import onqueue
from onqueue import Job, QueueManager
from onqueue.drivers.null import NullQueue
from onqueue.errors import (
    BrokerMisconfigured,
    BrokerUnavailable,
    ConfigurationError,
    NoCurrentManager,
    RetryAfterTooShort,
    UnknownConnection,
    UnsupportedByDriver,
)
from onqueue.failed import MemoryFailedJobs, NullFailedJobs
from support.broker_double import BrokerDouble

NULL = {"driver": "null"}


@pytest.fixture(autouse=True)
def _nothing_in_use() -> Iterator[None]:
    onqueue.use(None)
    yield
    onqueue.use(None)


def test_a_connection_is_made_once_when_it_is_asked_for() -> None:
    manager = QueueManager("a", {"a": NULL, "b": NULL})
    assert isinstance(manager.connection(), NullQueue)
    assert manager.connection("a") is manager.connection()
    assert manager.connection("b").name == "b"


def test_a_driver_may_come_from_outside() -> None:
    manager = QueueManager("a", {"a": {"driver": "onqueue.drivers.null:NullQueue"}})
    assert isinstance(manager.connection(), NullQueue)


def test_a_driver_that_cannot_be_loaded_says_so() -> None:
    manager = QueueManager("a", {"a": {"driver": "onqueue.drivers.nul:NullQueue"}})
    with pytest.raises(ConfigurationError, match="is its extra installed"):
        manager.connection()


def test_an_unknown_connection_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownConnection, match="'redsi', did you mean 'redis'"):
        QueueManager("redsi", {"redis": NULL})
    with pytest.raises(UnknownConnection, match="configured: 'redis'"):
        QueueManager("redis", {"redis": NULL}).connection("mail")


def test_unknown_drivers_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"'rdis', did you mean 'redis'.*failed store"):
        QueueManager("a", {"a": {"driver": "rdis"}}, failed={"driver": "files"})


def test_the_failed_store_is_named_or_handed_in() -> None:
    assert isinstance(QueueManager("a", {"a": NULL}).failed, NullFailedJobs)
    store = MemoryFailedJobs()
    assert QueueManager("a", {"a": NULL}, failed=store).failed is store
    named = QueueManager("a", {"a": NULL}, failed={"driver": "memory"})
    assert isinstance(named.failed, MemoryFailedJobs)
    assert named.failed is named.failed


def test_settings_that_a_failed_store_does_not_know_are_named() -> None:
    manager = QueueManager("a", {"a": {"driver": "null"}}, failed={"driver": "database"})
    with pytest.raises(ConfigurationError, match=r"'database' cannot be used: .*'engine'"):
        _ = manager.failed


def test_a_broker_without_an_address_says_which_setting_is_missing() -> None:
    manager = QueueManager("a", {"a": {"driver": "redis"}})
    with pytest.raises(BrokerMisconfigured, match="it has no 'url'"):
        manager.connection().check()


def test_closing_makes_new_connections_at_the_next_use() -> None:
    manager = QueueManager("a", {"a": NULL})
    before = manager.connection()
    manager.close()
    assert manager.connection() is not before


def test_a_connection_without_a_worker_is_refused_to_workers() -> None:
    with pytest.raises(UnsupportedByDriver, match="needs a worker"):
        QueueManager("a", {"a": NULL}).workable()


def test_without_a_manager_dispatching_says_what_to_do() -> None:
    with pytest.raises(NoCurrentManager, match=r"onqueue\.use"):
        onqueue.current_manager()


def test_a_manager_can_be_used_for_a_block() -> None:
    outer, inner = (QueueManager("a", {"a": NULL}) for _ in range(2))
    onqueue.use(outer)
    with onqueue.using(inner):
        assert onqueue.current_manager() is inner
    assert onqueue.current_manager() is outer


class SlowForItsConnection(Job):
    timeout = 300

    def handle(self) -> None: ...


def manager_with(queue: BrokerDouble) -> QueueManager:
    manager = QueueManager("redis", {"redis": NULL})
    manager._queues["redis"] = queue
    return manager


def test_a_timeout_above_retry_after_is_an_error_unless_leases_are_renewed() -> None:
    queue = BrokerDouble()
    manager = manager_with(queue)
    manager.check_timeout("redis", "job 'SlowForItsConnection'", 89)
    with pytest.raises(RetryAfterTooShort, match=r"90 s.*above.*300 s"):
        manager.check_timeout("redis", "job 'SlowForItsConnection'", 300)
    queue.supports |= {"leases"}
    manager.check_timeout("redis", "job 'SlowForItsConnection'", 300)


def test_the_check_tells_everything_that_is_wrong() -> None:
    queue = BrokerDouble()
    queue.away = True
    with pytest.raises(ConfigurationError) as caught:
        manager_with(queue).check()
    told = "\n".join(caught.value.problems)
    assert str(BrokerUnavailable("redis", "nowhere", "it was sent away by the test")) in told
    assert "timeout of job 'SlowForItsConnection' (300 s)" in told
