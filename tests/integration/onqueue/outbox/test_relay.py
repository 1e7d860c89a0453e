"""The relay: what was committed and never pushed is pushed, once and in order."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from onqueue.contracts import Message
from onqueue.outbox import Relay, SqlOutbox
from onqueue.testing.clock import FakeClock
from support.broker_double import BrokerDouble, Connections
from support.outbox_records import job_id, job_ids, record, records

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "onqueue.outbox")


@pytest.fixture
def relay(outbox: SqlOutbox, connections: Connections, clock: FakeClock) -> Relay:
    return Relay(outbox, connections, clock, batch=10)


def pushed(broker: BrokerDouble) -> list[str]:
    return [message.id for message in broker.pushed]


def test_what_waits_too_long_is_pushed_in_order(
    relay: Relay, outbox: SqlOutbox, broker: BrokerDouble, clock: FakeClock
) -> None:
    outbox.add_many(None, records(25))
    assert relay.run_once().handled == 0
    clock.advance(1.1)
    report = relay.run_once()
    assert (report.pushed, report.known, report.left) == (25, 0, 0)
    assert pushed(broker) == job_ids(25)
    assert outbox.counts() == {}


def test_a_durable_row_stays(relay: Relay, outbox: SqlOutbox, clock: FakeClock) -> None:
    outbox.add_many(None, records(2, durable=True))
    clock.advance(2)
    relay.run_once()
    assert outbox.counts() == {"dispatched": 2}
    assert relay.run_once().handled == 0


def test_a_push_that_arrived_before_is_not_made_twice(
    relay: Relay, outbox: SqlOutbox, broker: BrokerDouble, clock: FakeClock
) -> None:
    outbox.add_many(None, records(1))
    first = record(1).message
    broker.push(Message(first.id, first.queue, first.payload, once=100))
    broker.run_all()
    clock.advance(2)
    report = relay.run_once()
    assert (report.pushed, report.known) == (0, 1)
    assert broker.waiting == {}
    assert outbox.counts() == {}


def test_a_delay_counts_from_the_dispatch(
    relay: Relay, outbox: SqlOutbox, broker: BrokerDouble, clock: FakeClock
) -> None:
    outbox.add_many(None, [record(1, delay=60), record(2, delay=5)])
    clock.advance(20)
    relay.run_once()
    assert [message.delay for message in broker.pushed] == [40, 0]


def test_rows_wait_while_the_broker_is_away_and_drain_in_order(
    relay: Relay, outbox: SqlOutbox, broker: BrokerDouble, clock: FakeClock
) -> None:
    outbox.add_many(None, records(35))
    clock.advance(2)
    broker.away = True
    report = relay.run_once()
    assert (report.handled, report.left) == (0, 10)
    assert "cannot be reached" in report.errors["redis"]
    broker.away = False
    assert relay.run_once().handled == 0, "the backoff is not over"
    clock.advance(0.6)
    assert relay.run_once().pushed == 35
    assert pushed(broker) == job_ids(35)


def test_an_absent_broker_is_asked_less_and_less_often(
    relay: Relay, outbox: SqlOutbox, broker: BrokerDouble, clock: FakeClock
) -> None:
    outbox.add_many(None, records(1))
    clock.advance(2)
    broker.away = True
    for _ in range(600):
        relay.run_once()
        clock.advance(0.5)
    # 0.5 + 1 + 2 + 4 + 8 + 16 s, then every 30 s of the 300 that passed.
    assert 12 <= broker.trips <= 16


def test_one_broker_away_does_not_hold_up_another(outbox: SqlOutbox, clock: FakeClock) -> None:
    away, here = BrokerDouble("away"), BrokerDouble("here")
    away.away = True
    outbox.add_many(None, [record(n, connection="away") for n in range(1, 31)])
    outbox.add_many(None, [record(n, connection="here") for n in range(31, 34)])
    clock.advance(2)
    report = Relay(outbox, Connections(away, here), clock, batch=10).run_once()
    assert report.pushed == 3
    assert list(report.errors) == ["away"]


def test_a_connection_nobody_configured_is_told_and_passed_over(
    relay: Relay, outbox: SqlOutbox, clock: FakeClock
) -> None:
    outbox.add_many(None, [record(1, connection="gone"), record(2)])
    clock.advance(2)
    report = relay.run_once()
    assert (report.pushed, report.left) == (1, 1)
    assert "There is no connection 'gone'" in report.errors["gone"]
    assert outbox.state(job_id(1)) == "pending"


def test_one_row_the_broker_refuses_does_not_hold_up_the_others(
    relay: Relay, outbox: SqlOutbox, broker: BrokerDouble, clock: FakeClock
) -> None:
    outbox.add_many(None, records(5))
    broker.refused = {job_id(3)}
    clock.advance(2)
    report = relay.run_once()
    assert (report.pushed, report.left) == (4, 1)
    assert outbox.counts() == {"pending": 1}
    broker.refused = set()
    clock.advance(61)
    assert relay.run_once().pushed == 1


def test_rows_of_a_relay_that_died_are_taken_over(
    relay: Relay, outbox: SqlOutbox, clock: FakeClock
) -> None:
    outbox.add_many(None, records(3))
    clock.advance(2)
    outbox.claim(3, older_than=1, hold=30)
    assert relay.run_once().handled == 0
    clock.advance(31)
    assert relay.run_once().pushed == 3


def test_two_relays_at_once_push_every_job_once(
    outbox: SqlOutbox, connections: Connections, broker: BrokerDouble, clock: FakeClock
) -> None:
    outbox.add_many(None, records(300))
    clock.advance(2)
    relays = [Relay(outbox, connections, clock, batch=7) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda relay: relay.run_once(), relays))
    # A round ends when nothing is free; the other's last batch may be in its hands then.
    assert sum(report.pushed for report in reports) == 300
    assert sum(report.known for report in reports) == 0
    assert sorted(pushed(broker)) == job_ids(300)
    assert outbox.counts() == {}


def test_a_step_says_when_to_come_again(
    relay: Relay, outbox: SqlOutbox, broker: BrokerDouble, clock: FakeClock
) -> None:
    assert relay.step() == 1.0
    outbox.add_many(None, records(1))
    clock.advance(2)
    broker.away = True
    assert relay.step() == 0.5
