"""The one way in."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Literal

import pytest

import onqueue
from onqueue import Job, QueueManager, events
from onqueue.contracts import ONCE_WINDOW, Message
from onqueue.errors import (
    BrokerUnavailable,
    ConfigurationError,
    JobDefinitionError,
    PayloadTooLarge,
    RetryAfterTooShort,
    UnknownConnection,
    UnserializableArgument,
    UnsupportedByDriver,
)
from onqueue.payload import decode
from onqueue.stores import OutboxRecord
from onqueue.testing.clock import FakeClock
from support.broker_double import BrokerDouble


class Shrink(Job):
    queue = "images"
    path: str

    def handle(self) -> None: ...


class Pay(Job):
    durable = True
    amount: int = 1

    def handle(self) -> None: ...


class Announce(Job):
    wait_for_commit = True

    def handle(self) -> None: ...


class Tx:
    """A transaction that the test ends by hand."""

    connection = "the session's connection"

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def commit(self) -> None:
        for callback in self.callbacks:
            callback()


class Txs:
    def __init__(self) -> None:
        self.open: Tx | None = None

    def current(self) -> Tx | None:
        return self.open


class OutboxDouble:
    """Keeps what it is given, and what of it was dispatched."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, OutboxRecord]] = []
        self.dispatched: list[str] = []

    def add(self, connection: Any, message: Message, **rest: Any) -> None:
        raise NotImplementedError(connection, message, rest)

    def add_many(self, connection: Any, records: Sequence[OutboxRecord]) -> None:
        self.rows += [(connection, record) for record in records]

    def mark_dispatched(self, ids: Sequence[str]) -> None:
        self.dispatched += ids

    def mark_outcome(self, job_id: str, outcome: Literal["done", "failed"]) -> None:
        raise NotImplementedError(job_id, outcome)

    def state(self, job_id: str) -> None:
        raise NotImplementedError(job_id)

    def pending(self, limit: int, older_than: float) -> list[Any]:
        raise NotImplementedError(limit, older_than)

    def prune(self, older_than: float) -> int:
        raise NotImplementedError(older_than)


class Setting:
    """A process with two connections, an outbox and transactions."""

    def __init__(self, **more: Any) -> None:
        self.clock = FakeClock()
        self.outbox = OutboxDouble()
        self.transactions = Txs()
        settings = {
            "redis": {"driver": "redis"},
            "redis-long": {"driver": "redis", "queue": "slow"},
            "null": {"driver": "null"},
        }
        given: dict[str, Any] = {"outbox": self.outbox, "transactions": self.transactions} | more
        self.manager = QueueManager("redis", settings, clock=self.clock, **given)
        self.broker = BrokerDouble("redis")
        self.long = BrokerDouble("redis-long")
        self.long.config = self.manager.config("redis-long")
        self.manager._queues |= {"redis": self.broker, "redis-long": self.long}


@pytest.fixture
def setting() -> Iterator[Setting]:
    made = Setting()
    with onqueue.using(made.manager):
        yield made


def test_a_plain_job_is_one_push(setting: Setting) -> None:
    job_id = Shrink("a.png").dispatch()
    (message,) = setting.broker.pushed
    assert (message.id, message.queue, message.delay, message.once) == (job_id, "images", 0, 0)
    envelope = decode(message.payload)
    assert envelope.restore() == Shrink("a.png")
    assert envelope.at == setting.clock.time()
    assert len(job_id) == 32


def test_a_job_goes_where_it_is_sent(setting: Setting) -> None:
    Shrink("a").on_connection("redis-long").dispatch()
    Shrink("a").on_queue("other").dispatch()
    Announce().on_connection("redis-long").before_commit().dispatch()
    assert [one.queue for one in setting.long.pushed] == ["images", "slow"]
    assert setting.broker.pushed[0].queue == "other"


def test_a_delay_counts_from_the_dispatch(setting: Setting) -> None:
    Shrink("a").delay(minutes=1).dispatch()
    Shrink("a").delay(until=setting.clock.now() + timedelta(seconds=5)).dispatch()
    Shrink("a").delay(until=setting.clock.now() - timedelta(seconds=5)).dispatch()
    assert [one.delay for one in setting.broker.pushed] == [60, 5, 0]


def test_no_job_waits_for_an_instant_more_than_a_hundred_years_away(setting: Setting) -> None:
    job = Shrink("a").delay(until=setting.clock.now() + timedelta(days=36_526))
    with pytest.raises(JobDefinitionError, match=r"delay\(until=\) needs a span of time from 0 to"):
        job.dispatch()


def test_a_class_may_have_a_default_delay(setting: Setting) -> None:
    class Lazy(Job):
        default_delay = timedelta(seconds=9)

        def handle(self) -> None: ...

    Lazy().dispatch()
    Lazy().without_delay().dispatch()
    assert [one.delay for one in setting.broker.pushed] == [9, 0]


def test_options_may_depend_on_the_job(setting: Setting) -> None:
    class Routed(Job):
        target: str

        def connection(self) -> str:
            return self.target

        def queue(self) -> str:
            return f"for-{self.target}"

        def handle(self) -> None: ...

    Routed("redis-long").dispatch()
    Routed("redis").dispatch()
    assert setting.long.pushed[0].queue == "for-redis-long"
    assert setting.broker.pushed[0].queue == "for-redis"
    with pytest.raises(UnknownConnection):
        Routed("nowhere").dispatch()


def test_conditions_decide(setting: Setting) -> None:
    assert Shrink("a").dispatch_if([]) is None
    assert Shrink("a").dispatch_unless("yes") is None
    assert Shrink("a").dispatch_if(1)
    assert Shrink("a").dispatch_unless(None)
    assert len(setting.broker.pushed) == 2


def test_what_cannot_travel_is_refused_and_nothing_is_pushed(setting: Setting) -> None:
    with pytest.raises(UnserializableArgument):
        Shrink(object()).dispatch()  # type: ignore[arg-type]
    with pytest.raises(PayloadTooLarge):
        Shrink("x" * 100_000).dispatch()
    assert setting.broker.pushed == []


def test_the_context_travels() -> None:
    setting = Setting(context=lambda: {"tenant": "7"})
    with onqueue.using(setting.manager):
        Shrink("a").dispatch()
        Shrink("a").delay(1).dispatch()
    assert [decode(one.payload).context for one in setting.broker.pushed] == [{"tenant": "7"}] * 2


def test_a_timeout_not_below_retry_after_is_refused(setting: Setting) -> None:
    class Long(Job):
        timeout = 90

        def handle(self) -> None: ...

    class Varying(Job):
        seconds: int

        def timeout(self) -> int:
            return self.seconds

        def handle(self) -> None: ...

    with pytest.raises(RetryAfterTooShort):
        Long().dispatch()
    with pytest.raises(RetryAfterTooShort):
        Varying(90).dispatch()
    Varying(89).dispatch()
    setting.broker.supports |= {"leases"}
    Long().dispatch()
    assert len(setting.broker.pushed) == 2


def test_a_driver_that_cannot_delay_is_refused_a_delay(setting: Setting) -> None:
    setting.broker.supports -= {"delay"}
    with pytest.raises(UnsupportedByDriver, match="needs a delay"):
        Shrink("a").delay(5).dispatch()


def test_an_absent_broker_is_an_error(setting: Setting) -> None:
    setting.broker.away = True
    with pytest.raises(BrokerUnavailable, match="'redis' at nowhere"):
        Shrink("a").dispatch()
    assert setting.outbox.rows == []


# ---- events ----


def test_dispatching_is_told_before_and_after_the_push(setting: Setting) -> None:
    """C38."""
    heard: list[Any] = []

    def before(event: events.JobQueueing) -> None:
        heard.append(("before", event.job_id, len(setting.broker.pushed)))

    def after(event: events.JobQueued) -> None:
        heard.append(("after", event.job_id, len(setting.broker.pushed)))

    with events.job_queueing.connected_to(before), events.job_queued.connected_to(after):
        job_id = Shrink("a").dispatch()
        ids = onqueue.dispatch_many([Shrink("b"), Shrink("c")])
    assert heard[:2] == [("before", job_id, 0), ("after", job_id, 1)]
    assert heard[2:] == [
        ("before", ids[0], 1),
        ("before", ids[1], 1),
        ("after", ids[0], 3),
        ("after", ids[1], 3),
    ]


# ---- many ----


def test_many_jobs_take_a_trip_a_thousand(setting: Setting) -> None:
    ids = onqueue.dispatch_many(Shrink(str(n)) for n in range(2500))
    assert setting.broker.trips == 3
    assert [one.id for one in setting.broker.pushed] == ids
    assert len(set(ids)) == 2500


def test_many_jobs_of_all_kinds_go_each_its_way(setting: Setting) -> None:
    """C38."""
    jobs = [Shrink("a"), Shrink("b").on_connection("redis-long"), Shrink("c").delay(5), Pay()]
    ids = onqueue.dispatch_many(jobs)
    assert {one.id for one in setting.broker.pushed} == {ids[0], ids[2], ids[3]}
    assert [one.id for one in setting.long.pushed] == [ids[1]]
    assert [row.message.id for _, row in setting.outbox.rows] == [ids[3]]
    assert onqueue.dispatch_many([]) == []


def test_an_error_among_many_tells_how_many_were_taken(setting: Setting) -> None:
    jobs: list[Any] = [Shrink("a")] * 1000 + [Shrink(object())]  # type: ignore[arg-type]
    with pytest.raises(UnserializableArgument) as caught:
        onqueue.dispatch_many(jobs)
    assert "1000 jobs before this chunk of 1 were taken" in caught.value.__notes__
    assert len(setting.broker.pushed) == 1000


# ---- transactions and the outbox ----


def test_outside_of_a_transaction_nothing_is_held_back(setting: Setting) -> None:
    Announce().dispatch()
    assert len(setting.broker.pushed) == 1
    assert setting.outbox.rows == []


def test_a_waiting_job_is_written_with_the_transaction_and_pushed_after_it(
    setting: Setting,
) -> None:
    transaction = setting.transactions.open = Tx()
    job_id = Announce().delay(10).dispatch()
    Shrink("a").after_commit().dispatch()
    assert setting.broker.pushed == []
    connection, row = setting.outbox.rows[0]
    assert (connection, row.message.id, row.job, row.durable) == (
        "the session's connection",
        job_id,
        "Announce",
        False,
    )
    setting.clock.advance(4)
    transaction.commit()
    assert [(one.delay, one.once) for one in setting.broker.pushed] == [
        (6, ONCE_WINDOW),
        (0, ONCE_WINDOW),
    ]
    assert setting.outbox.dispatched[0] == job_id


def test_a_job_that_does_not_wait_goes_at_once(setting: Setting) -> None:
    setting.transactions.open = Tx()
    Shrink("a").dispatch()
    Announce().before_commit().dispatch()
    assert len(setting.broker.pushed) == 2


def test_a_rolled_back_job_is_never_pushed(setting: Setting) -> None:
    setting.transactions.open = Tx()
    Announce().dispatch()
    setting.transactions.open = None
    assert setting.broker.pushed == []


def test_without_an_outbox_a_waiting_job_is_held_in_memory() -> None:
    setting = Setting(outbox=None)
    transaction = setting.transactions.open = Tx()
    with onqueue.using(setting.manager):
        Announce().dispatch()
        assert setting.broker.pushed == []
        transaction.commit()
    assert [one.once for one in setting.broker.pushed] == [0]


def test_a_commit_with_the_broker_away_leaves_the_job_to_the_relay(setting: Setting) -> None:
    transaction = setting.transactions.open = Tx()
    Announce().dispatch()
    setting.broker.away = True
    transaction.commit()
    assert len(setting.outbox.rows) == 1
    assert setting.outbox.dispatched == []


def test_a_waiting_job_without_a_transaction_falls_back_to_the_outbox(setting: Setting) -> None:
    setting.broker.away = True
    job_id = Announce().dispatch()
    connection, row = setting.outbox.rows[0]
    assert connection is None
    assert row.message.id == job_id


def test_a_durable_job_is_in_the_outbox_before_it_is_pushed(setting: Setting) -> None:
    job_id = Pay(5).dispatch()
    (connection, row) = setting.outbox.rows[0]
    assert (connection, row.durable, row.message.id) == (None, True, job_id)
    assert setting.broker.pushed[0].once == ONCE_WINDOW
    assert setting.outbox.dispatched == [job_id]


def test_a_durable_job_survives_an_absent_broker(setting: Setting) -> None:
    setting.broker.away = True
    Pay().dispatch()
    assert len(setting.outbox.rows) == 1
    assert setting.outbox.dispatched == []


def test_a_durable_job_joins_the_open_transaction(setting: Setting) -> None:
    setting.transactions.open = Tx()
    Pay().dispatch()
    assert setting.outbox.rows[0][0] == "the session's connection"
    assert setting.broker.pushed == []


def test_a_durable_job_without_an_outbox_is_refused() -> None:
    setting = Setting(outbox=None)
    with (
        onqueue.using(setting.manager),
        pytest.raises(ConfigurationError, match="needs an outbox"),
    ):
        Pay().dispatch()


def test_a_connection_may_wait_for_commits_by_itself() -> None:
    setting = Setting()
    settings = {"null": {"driver": "null", "after_commit": True}}
    manager = QueueManager("null", settings, transactions=setting.transactions)
    transaction = setting.transactions.open = Tx()
    with onqueue.using(manager):
        Shrink("a").dispatch()
        assert len(transaction.callbacks) == 1
        Shrink("a").before_commit().dispatch()
        assert len(transaction.callbacks) == 1


def test_a_durable_job_on_a_connection_that_drops_its_jobs_is_dropped(setting: Setting) -> None:
    Pay().on_connection("null").dispatch()
    assert setting.outbox.rows == []


def test_a_job_for_a_driver_without_a_broker_never_enters_the_outbox(setting: Setting) -> None:
    transaction = setting.transactions.open = Tx()
    Announce().on_connection("null").dispatch()
    assert setting.outbox.rows == []
    assert len(transaction.callbacks) == 1
