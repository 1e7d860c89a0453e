"""Unique jobs that come by the outbox take their locks like all others."""

from collections.abc import Iterator

import pytest

import onqueue
from onqueue import Job, QueueManager
from onqueue.outbox import Reconciler, Relay, SqlOutbox
from onqueue.testing.clock import FakeClock
from support.broker_double import BrokerDouble

_GRACE = 0.0


class Report(Job):
    name = "outbox.unique.report"
    unique = True
    wait_for_commit = True
    shop: int

    def handle(self) -> None: ...


class Payout(Report):
    name = "outbox.unique.payout"
    durable = True

    def handle(self) -> None: ...


@pytest.fixture
def manager(outbox: SqlOutbox, clock: FakeClock) -> Iterator[QueueManager]:
    connections = {"redis": {"driver": "support.broker_double:broker_double"}}
    manager = QueueManager("redis", connections, outbox=outbox, clock=clock)
    with onqueue.using(manager):
        yield manager


@pytest.fixture
def double(manager: QueueManager) -> BrokerDouble:
    queue = manager.connection()
    assert isinstance(queue, BrokerDouble)
    return queue


def test_of_two_that_the_outbox_kept_the_relay_pushes_one(
    manager: QueueManager, double: BrokerDouble, outbox: SqlOutbox, clock: FakeClock
) -> None:
    """C58. C77."""
    double.away = True
    first, second, other = (Report(shop).dispatch() for shop in (1, 1, 2))
    double.away = False
    clock.advance(5)
    report = Relay(outbox, manager, clock, grace=_GRACE).run_once()
    assert (report.pushed, report.known) == (2, 1)
    assert set(double.waiting) == {first, other}
    assert outbox.state(second) is None


def test_a_durable_job_that_lost_is_not_brought_back(
    manager: QueueManager, double: BrokerDouble, outbox: SqlOutbox, clock: FakeClock
) -> None:
    """C58."""
    first = Payout(1).dispatch()
    assert Payout(1).dispatch() == first
    assert outbox.counts() == {"dispatched": 1, "done": 1}
    double.run_all()
    outbox.mark_outcome(first, "done")
    clock.advance(3600)
    assert Reconciler(outbox, manager, clock).run_once().lost == 0
    assert not double.waiting


def test_a_durable_job_whose_place_was_taken_while_the_broker_was_empty_ends(
    manager: QueueManager, double: BrokerDouble, outbox: SqlOutbox, clock: FakeClock
) -> None:
    lost = Payout(1).dispatch()
    double.lose_everything()
    newer = Payout(1).dispatch()
    clock.advance(3600)
    Reconciler(outbox, manager, clock).run_once()
    assert set(double.waiting) == {newer}
    assert (outbox.state(lost), outbox.state(newer)) == ("done", "dispatched")
