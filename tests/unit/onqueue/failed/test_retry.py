"""What a retried job takes with it."""

import json
from typing import Any

import pytest

from onqueue.errors import UnknownConnection
from onqueue.failed.retry import renewed, retry_push
from onqueue.stores import FailedJob
from onqueue.testing.clock import START, FakeClock
from support.broker_double import BrokerDouble, Connections
from support.outbox_records import job_id


def payload(**options: Any) -> bytes:
    return json.dumps(
        {"v": 1, "job": "J", "at": 1_000_000, "data": {"n": "ü"}, "o": options}
    ).encode()


def test_time_begins_anew() -> None:
    """K6: `retry_until` is told anew, as far away as it was at the dispatch."""
    """K6."""
    moved = json.loads(renewed(payload(retry_until=1_060_000, tries=3), now=5_000.0))
    assert moved["at"] == 5_000_000
    assert moved["o"] == {"retry_until": 5_060_000, "tries": 3}
    assert moved["data"] == {"n": "ü"}


def test_the_order_of_the_parts_stays() -> None:
    assert list(json.loads(renewed(payload(), now=5.0))) == ["v", "job", "at", "data", "o"]


@pytest.mark.parametrize("broken", [b"", b"\xff\x00", b"[]", b'{"v":1}', b'{"at":"x"}', b"7"])
def test_what_cannot_be_read_travels_as_it_is(broken: bytes) -> None:
    assert renewed(broken, now=5.0) == broken


def test_a_durable_job_is_guarded_before_it_is_pushed() -> None:
    order: list[str] = []

    class Rows:
        def revive(self, job_id: str) -> bool:
            order.append("revived")
            return True

        def mark_outcome(self, job_id: str, outcome: str) -> None:
            order.append(outcome)

    class Broker(BrokerDouble):
        def push(self, message: object) -> bool:
            order.append("pushed")
            return True

    push = retry_push(Connections(Broker()), Rows(), FakeClock())
    assert push(failed(), "token")
    assert order == ["revived", "pushed"]


def test_a_second_push_under_one_token_is_refused_by_the_broker_even_after_the_job_ran() -> None:
    broker = BrokerDouble()
    push = retry_push(Connections(broker), None, FakeClock())
    assert push(failed(), "first")
    broker.run_all()
    assert not push(failed(), "first")
    assert push(failed(), "second")


def test_a_connection_that_is_gone_is_named() -> None:
    with pytest.raises(UnknownConnection, match="There is no connection 'redis'"):
        retry_push(Connections(), None, FakeClock())(failed(), "token")


def failed() -> FailedJob:
    return FailedJob(job_id(1), "redis", "default", "J", payload(), "E", "e", "", 3, START)
