"""Unique jobs at the one point where jobs come in."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

import onqueue
from onqueue import Job, QueueManager, events
from onqueue.bus.unique import claim_of
from onqueue.errors import JobDefinitionError, UniqueJobExists, UnsupportedByDriver
from onqueue.failed import retry_push
from onqueue.payload import decode
from onqueue.plans import Claim
from onqueue.pushing import push_all, tie_in
from onqueue.stores import FailedJob
from onqueue.testing.clock import FakeClock
from support.broker_double import BrokerDouble


class Reindex(Job):
    unique = True
    shop: int
    words: dict[str, int] | None = None

    def handle(self) -> None: ...


class ById(Reindex):
    unique_for = timedelta(minutes=5)
    unique_until_processing = True
    unique_on_conflict = "raise"

    def unique_id(self) -> int:
        return self.shop


class Latest(ById):
    unique_on_conflict = "keep_last"


class Now(Job):
    unique_only_now: bool = True

    def unique(self) -> bool:
        return self.unique_only_now

    def handle(self) -> None: ...


@pytest.fixture
def manager() -> Iterator[QueueManager]:
    manager = QueueManager(
        "redis",
        {
            "redis": {"driver": "support.broker_double:broker_double"},
            "null": {"driver": "null"},
        },
        clock=FakeClock(),
    )
    with onqueue.using(manager):
        yield manager


@pytest.fixture
def broker(manager: QueueManager) -> BrokerDouble:
    queue = manager.connection()
    assert isinstance(queue, BrokerDouble)
    return queue


@pytest.fixture
def skipped() -> Iterator[list[events.JobUniqueSkipped]]:
    heard: list[Any] = []

    def note(event: object) -> None:
        heard.append(event)

    events.job_unique_skipped.connect(note)
    yield heard
    events.job_unique_skipped.disconnect(note)


def test_a_job_is_known_by_its_fields_unless_it_says_by_what() -> None:
    """K62."""
    one, same = claim_of(Reindex(1, {"a": 1, "b": 2})), claim_of(Reindex(1, {"b": 2, "a": 1}))
    assert one == same
    assert one != claim_of(Reindex(2, {"a": 1, "b": 2}))
    assert one is not None and one.key.startswith("Reindex:") and one.lifetime == 86_400
    assert claim_of(ById(7)) == Claim("ById:7", 300.0, "raise", until_processing=True)
    assert claim_of(Now()) is not None
    assert claim_of(Now(unique_only_now=False)) is None


def test_an_id_may_be_a_uuid_and_a_long_one_is_hashed() -> None:
    class Named(Job):
        unique = True
        key: str | UUID

        def unique_id(self) -> str | UUID:
            return self.key

        def handle(self) -> None: ...

    claim = claim_of(Named(UUID(int=5)))
    assert claim is not None and claim.key == f"Named:{UUID(int=5)}"
    long, other = claim_of(Named("x" * 5000)), claim_of(Named("x" * 5001))
    assert long is not None and other is not None and long.key != other.key
    assert len(long.key) < 100


def test_an_id_that_is_none_is_refused_with_the_job_s_name() -> None:
    class Odd(Job):
        unique = True

        def unique_id(self) -> Any:
            return 1.5

        def handle(self) -> None: ...

    with pytest.raises(JobDefinitionError, match=r"unique_id.*Odd"):
        claim_of(Odd())


def test_a_loser_gets_the_id_of_the_job_that_is_there(
    broker: BrokerDouble, skipped: list[events.JobUniqueSkipped]
) -> None:
    """C58."""
    first = Reindex(1).dispatch()
    assert Reindex(1).dispatch() == first
    assert Reindex(2).dispatch() != first
    assert len(broker.waiting) == 2
    [event] = skipped
    assert (event.job, event.owner, event.connection) == ("Reindex", first, "redis")
    broker.run_all()
    assert Reindex(1).dispatch() != first


def test_many_at_once_go_through_the_same_lock(broker: BrokerDouble) -> None:
    """C58."""
    ids = onqueue.dispatch_many([Reindex(1), Now(unique_only_now=False), Reindex(1), Reindex(2)])
    assert ids[0] == ids[2]
    assert len(set(ids)) == 3 == len(broker.waiting)


def test_who_wants_to_hear_of_it_gets_an_error(broker: BrokerDouble) -> None:
    first = ById(1).dispatch()
    with pytest.raises(UniqueJobExists, match="'ById:1'") as caught:
        ById(1).dispatch()
    assert caught.value.owner == first


def test_of_many_at_once_the_others_are_dispatched_before_the_loser_raises(
    broker: BrokerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onqueue.bus.dispatcher.CHUNK", 3)
    ById(2).dispatch()
    with pytest.raises(UniqueJobExists, match="'ById:2'") as caught:
        onqueue.dispatch_many([ById(number) for number in (1, 2, 3, 4)])
    assert caught.value.__notes__ == ["0 jobs before this chunk of 3 were taken"]
    shops = {decode(message.payload).data["shop"] for message in broker.pushed}
    assert shops == {1, 2, 3}


def test_a_later_one_may_take_the_place_of_the_waiting_one(
    broker: BrokerDouble, skipped: list[Any]
) -> None:
    """K64."""
    first = Latest(1, {"v": 1}).dispatch()
    assert Latest(1, {"v": 2}).dispatch() == first
    [message] = broker.waiting.values()
    assert decode(message.payload).data["words"] == {"v": 2}
    assert skipped == []


def test_the_lock_travels_in_the_payload_for_a_retry(broker: BrokerDouble) -> None:
    ById(1).dispatch()
    [message] = broker.pushed
    assert message.tie is not None
    assert tie_in(message.payload) == message.tie
    assert tie_in(b"no json") is None
    assert tie_in(b'{"t":{no json') is None


def test_a_driver_without_locks_refuses_a_unique_job(broker: BrokerDouble) -> None:
    broker.supports -= {"unique"}
    with pytest.raises(UnsupportedByDriver, match="a unique lock"):
        Reindex(1).dispatch()
    Now(unique_only_now=False).dispatch()
    assert Reindex(1).on_connection("null").dispatch()


def test_events_tell_only_of_what_was_queued(broker: BrokerDouble) -> None:
    told: list[str] = []

    def note(event: events.JobQueued) -> None:
        told.append(event.job_id)

    with events.job_queued.connected_to(note):
        first = Reindex(1).dispatch()
        Reindex(1).dispatch()
    assert told == [first]


def test_a_retry_takes_the_lock_again_or_says_who_has_it(
    manager: QueueManager, broker: BrokerDouble
) -> None:
    """C58."""
    job_id = Latest(1).dispatch()
    [message] = broker.pushed
    broker.run_all()
    failed = FailedJob(
        job_id, "redis", "default", "Latest", message.payload, "E", "e", "", 1, FakeClock().now()
    )
    assert retry_push(manager)(failed, "t1") is True
    broker.run_all()
    newer = Latest(1, {"v": 2}).dispatch()
    with pytest.raises(Exception, match=newer):
        retry_push(manager)(failed, "t2")
    assert decode(broker.waiting[newer].payload).data["words"] == {"v": 2}


def test_plain_messages_pass_in_one_trip(broker: BrokerDouble) -> None:
    onqueue.dispatch_many([Now(unique_only_now=False)] * 3)
    before = broker.trips
    messages = broker.pushed[:]
    broker.run_all()
    assert push_all(broker, messages).new == 3
    assert broker.trips == before + 1
