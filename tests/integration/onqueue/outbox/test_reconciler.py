"""The reconciler: a broker that loses everything loses no durable job."""

import logging

import pytest

from onqueue.outbox import Reconciler, Relay, SqlOutbox
from onqueue.testing.clock import FakeClock
from support.broker_double import BrokerDouble, Connections
from support.outbox_records import job_id, job_ids, record, records

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "onqueue.outbox")


@pytest.fixture
def reconciler(outbox: SqlOutbox, connections: Connections, clock: FakeClock) -> Reconciler:
    return Reconciler(outbox, connections, clock, patience=30)


def dispatch(count: int, outbox: SqlOutbox, connections: Connections, clock: FakeClock) -> None:
    outbox.add_many(None, records(count, durable=True))
    clock.advance(2)
    Relay(outbox, connections, clock).run_once()


def test_what_the_broker_knows_is_left_alone(
    reconciler: Reconciler, outbox: SqlOutbox, connections: Connections, clock: FakeClock
) -> None:
    dispatch(3, outbox, connections, clock)
    clock.advance(31)
    report = reconciler.run_once()
    assert (report.checked, report.lost) == (3, 0)


def test_a_broker_that_lost_everything_gets_all_open_jobs_again(
    reconciler: Reconciler,
    outbox: SqlOutbox,
    connections: Connections,
    broker: BrokerDouble,
    clock: FakeClock,
) -> None:
    dispatch(1200, outbox, connections, clock)
    outbox.mark_outcome(job_id(1), "done")
    outbox.mark_outcome(job_id(2), "failed")
    broker.lose_everything()
    clock.advance(31)
    report = reconciler.run_once()
    assert report.lost == 1198
    assert list(broker.waiting) == job_ids(1198, first=3)
    assert reconciler.run_once().lost == 0


def test_a_job_lost_twice_comes_back_twice(
    reconciler: Reconciler,
    outbox: SqlOutbox,
    connections: Connections,
    broker: BrokerDouble,
    clock: FakeClock,
) -> None:
    dispatch(1, outbox, connections, clock)
    for _ in range(2):
        broker.lose_everything()
        clock.advance(31)
        assert reconciler.run_once().lost == 1


def test_a_fresh_push_is_given_its_time(
    reconciler: Reconciler,
    outbox: SqlOutbox,
    connections: Connections,
    broker: BrokerDouble,
    clock: FakeClock,
) -> None:
    dispatch(1, outbox, connections, clock)
    broker.lose_everything()
    clock.advance(29)
    assert reconciler.run_once().checked == 0


def test_a_job_that_ends_while_it_is_looked_for_stays_ended(
    outbox: SqlOutbox, broker: BrokerDouble, connections: Connections, clock: FakeClock
) -> None:
    class Finishing(BrokerDouble):
        """Its worker finishes the job just before the broker is asked."""

        def knows(self, ids: object) -> set[str]:
            outbox.mark_outcome(job_id(1), "done")
            return set()

    dispatch(1, outbox, connections, clock)
    clock.advance(31)
    finishing = Finishing()
    assert Reconciler(outbox, Connections(finishing), clock).run_once().lost == 0
    assert finishing.pushed == []


def test_a_broker_that_is_away_is_told_and_the_others_are_served(
    outbox: SqlOutbox, clock: FakeClock
) -> None:
    away, here = BrokerDouble("away"), BrokerDouble("here")
    both = Connections(away, here)
    outbox.add_many(None, [record(1, durable=True, connection="away")])
    outbox.add_many(None, [record(2, durable=True, connection="here")])
    outbox.mark_dispatched(job_ids(2))
    away.away = True
    clock.advance(31)
    report = Reconciler(outbox, both, clock).run_once()
    assert list(report.errors) == ["away"]
    assert list(here.waiting) == [job_id(2)]
    away.away = False
    assert Reconciler(outbox, both, clock).run_once().lost == 1


def test_a_driver_that_cannot_be_asked_is_passed_over(
    outbox: SqlOutbox, broker: BrokerDouble, connections: Connections, clock: FakeClock
) -> None:
    dispatch(1, outbox, connections, clock)
    broker.supports = frozenset()
    broker.lose_everything()
    clock.advance(31)
    assert Reconciler(outbox, connections, clock).run_once().checked == 0


def test_a_failed_job_is_guarded_again_once_it_is_retried(
    reconciler: Reconciler,
    outbox: SqlOutbox,
    connections: Connections,
    broker: BrokerDouble,
    clock: FakeClock,
) -> None:
    dispatch(1, outbox, connections, clock)
    outbox.mark_outcome(job_id(1), "failed")
    broker.lose_everything()
    outbox.revive(job_id(1))
    clock.advance(31)
    assert reconciler.run_once().lost == 1
