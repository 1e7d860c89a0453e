"""Batches as an author writes them, counted in this process."""

from collections.abc import Iterator
from typing import Any

import pytest

import onqueue
from onqueue import Batch, Job, QueueManager, batch, chain, events, find_batch
from onqueue.errors import (
    BatchFinished,
    ConfigurationError,
    MemberFailed,
    NotBatchable,
    UnsupportedByDriver,
)
from onqueue.failed import MemoryFailedJobs, retry_failed
from onqueue.testing.clock import FakeClock

RAN: list[Any] = []
HEALED: list[bool] = []


class Member(Job):
    name = "test_batches.member"
    label: str
    how: str = ""

    def middleware(self) -> list[Any]:
        return [lambda job, inner: None] if self.how == "skip" else []

    def handle(self) -> None:
        assert self.batch is not None
        RAN.append(self.label)
        match self.how:
            case "raise" if not HEALED:
                raise ValueError(self.label)
            case "fail" if not HEALED:
                self.fail("as told")
            case "cancel":
                self.batch.cancel()
                assert not self.batching
            case "add":
                assert self.batching
                self.batch.add([Member(f"{self.label}1"), [Member(f"{self.label}2")]])
            case _:
                """Nothing more."""


class Elsewhere(Member):
    name = "test_batches.elsewhere"
    connection = "long"


class Hear(Job):
    """A callback that is a job."""

    name = "test_batches.hear"

    def handle(self) -> None:
        assert self.batch is not None
        RAN.append(("heard", self.batch.progress()))


def before(found: Batch) -> None:
    RAN.append(("before", found.total))


def progress(found: Batch) -> None:
    RAN.append(("progress", found.processed))


def then(found: Batch) -> None:
    RAN.append(("then", found.progress()))


def catch(found: Batch, error: MemberFailed) -> None:
    RAN.append(("catch", error.error_type, found.failed))


def finally_(found: Batch) -> None:
    RAN.append(("finally", found.processed, found.failed))


def nothing() -> None:
    RAN.append("called")


def heard(members: list[Any]) -> onqueue.PendingBatch:
    pending = batch(members).before(before).progress(progress).then(then)
    return pending.catch(catch).finally_(finally_)


@pytest.fixture(autouse=True)
def manager() -> Iterator[QueueManager]:
    RAN.clear()
    HEALED.clear()
    manager = QueueManager(
        "sync",
        {
            "sync": {"driver": "sync"},
            "long": {"driver": "sync"},
            "plain": {"driver": "support.broker_double:broker_double"},
        },
        failed=MemoryFailedJobs(),
        clock=FakeClock(),
        app_keys=(("test", b"k" * 32),),
    )
    with onqueue.using(manager):
        yield manager


def test_callbacks_come_at_their_moments() -> None:
    """C71."""
    found = heard([Member("a"), [Member("b"), Member("c")]]).name("n").dispatch()
    assert [
        *(("before", 3), "a", ("progress", 1), "b", ("progress", 2), "c"),
        *(("progress", 3), ("then", 100), ("finally", 3, 0)),
    ] == RAN
    assert (found.name, found.finished, found.cancelled, found.has_failures) == (
        *("n", True, False, False),
    )
    assert repr(found) == f"Batch({found.id!r}, name='n', 3 of 3)"


def test_an_empty_batch_ends_at_once() -> None:
    """C72."""
    found = heard([]).dispatch()
    assert RAN == [("before", 0), ("then", 100), ("finally", 0, 0)]
    assert (found.finished, found.progress()) == (True, 100)


def test_the_first_failure_cancels_and_is_raised_when_all_is_accounted_for() -> None:
    """K41. C57. C67."""
    with pytest.raises(ValueError, match="b"):
        heard([Member("a"), Member("b", "raise"), Member("c")]).dispatch()
    assert [one for one in RAN if one[0] != "progress"] == [
        *(("before", 3), "a", "b", ("catch", "ValueError", 1), ("finally", 3, 1)),
    ]


def test_allowed_failures_are_counted_and_break_only_their_own_chain() -> None:
    """C66. C68. C69."""
    members = [Member("a", "raise"), [Member("b", "fail"), Member("c")], Member("d", "skip")]
    found = heard(members).allow_failures().dispatch()
    assert ("then", 100) in RAN and ("finally", 4, 2) in RAN
    assert RAN.count(("catch", "ValueError", 1)) == 1
    state = found.state
    assert (state.failed, state.broken, state.skipped, state.succeeded) == (2, 1, 1, 0)
    assert found.failed_ids() == sorted(found.failed_ids())


def test_who_cancels_a_batch_ends_what_waits() -> None:
    """C57. C68. C73."""
    found = heard([Member("a", "cancel"), Member("b")]).dispatch()
    assert "b" not in RAN
    assert ("then", 100) not in RAN and ("finally", 2, 0) in RAN
    assert found.cancelled and found.state.cancelled == 1
    assert not found.cancel()


def test_members_may_be_added_from_inside_only() -> None:
    """C72."""
    found = heard([Member("a", "add"), Member("b")]).dispatch()
    assert [one for one in RAN if isinstance(one, str)] == ["a", "a1", "a2", "b"]
    assert found.total == 4 and ("finally", 4, 0) in RAN
    with pytest.raises(BatchFinished, match=found.id):
        found.add([Member("late")])
    assert found.add([]) == 0


def test_retrying_recomputes_the_figures_and_calls_nobody_twice(manager: QueueManager) -> None:
    """C69. C70."""
    found = heard([Member("a", "raise"), Member("b")]).allow_failures().dispatch()
    HEALED.append(True)
    [job_id] = found.failed_ids()
    RAN.clear()
    assert retry_failed(manager, job_id)
    assert RAN == ["a", ("progress", 2)]
    fresh = found.fresh()
    assert (fresh.failed, fresh.state.succeeded, fresh.finished) == (0, 2, True)
    assert not found.fresh().has_failures


def test_callbacks_are_jobs_functions_of_any_arity_or_closures(tmp_path: Any) -> None:
    file = tmp_path / "told"
    batch([Member("a")]).then(Hear()).then(nothing).then(
        lambda found: file.write_text(found.id)
    ).dispatch()
    assert RAN == ["a", ("heard", 100), "called"]
    assert len(file.read_text()) == 32


def test_a_batch_in_a_batch_counts_as_one_member() -> None:
    inner = batch([Member("b"), Member("c")]).then(then)
    found = batch([Member("a"), inner]).finally_(finally_).dispatch()
    assert RAN == ["a", "b", "c", ("then", 100), ("finally", 2, 0)]
    assert found.total == 2


def test_a_batch_has_one_connection(manager: QueueManager) -> None:
    found = batch([Elsewhere("a"), Elsewhere("b")]).dispatch()
    assert found.connection == "long"
    assert find_batch(found.id) is not None
    assert find_batch(found.id, "sync") is None
    with pytest.raises(ConfigurationError, match=r"'long', 'sync'.*on_connection"):
        batch([Elsewhere("a"), Member("b")]).dispatch()
    assert (
        batch([Elsewhere("a"), Member("b")]).on_connection("sync").dispatch().connection == "sync"
    )
    with pytest.raises(UnsupportedByDriver, match="to be counted"):
        batch([Member("a")]).on_connection("plain").dispatch()


def test_a_batch_that_is_forgotten_is_known_to_nobody() -> None:
    found = batch([Member("a")]).dispatch()
    assert found.delete() and not found.delete()
    assert find_batch(found.id) is None
    with pytest.raises(BatchFinished):
        found.fresh()


def test_a_batch_tells_all_about_itself() -> None:
    found = batch([Member("a")]).allow_failures().dispatch()
    told = found.to_dict()
    assert told["id"] == found.id
    assert told["total"] == told["processed"] == told["succeeded"] == 1
    assert (told["progress"], told["allow_failures"], told["cancelled_at"]) == (100, True, None)
    assert told["finished_at"].endswith("+00:00")


def test_who_listens_hears_of_batches() -> None:
    told: list[Any] = []

    def note(event: object) -> None:
        told.append(event)

    signals = [events.batch_dispatched, events.batch_cancelled, events.batch_finished]
    for signal in signals:
        signal.connect(note)
    try:
        batch([Member("a"), Member("b", "fail"), Member("c")]).name("n").dispatch()
        batch([Member("d", "cancel")]).dispatch()
    finally:
        for signal in signals:
            signal.disconnect(note)
    kinds = [(type(event).__name__, event.name) for event in told]
    assert sorted(kinds) == [
        *(("BatchCancelled", ""), ("BatchCancelled", "n"), ("BatchDispatched", "")),
        *(("BatchDispatched", "n"), ("BatchFinished", ""), ("BatchFinished", "n")),
    ]
    [ended] = [event for event in told if kinds[told.index(event)] == ("BatchFinished", "n")]
    assert (ended.total, ended.failed, ended.cancelled) == (3, 1, True)


def test_it_is_dispatched_if_and_unless() -> None:
    assert batch([Member("a")]).dispatch_if(0) is None
    assert batch([Member("b")]).dispatch_unless(1) is None
    assert batch([Member("c")]).dispatch_if(1) is not None
    assert batch([Member("d")]).dispatch_unless(0) is not None
    assert RAN == ["c", "d"]


# ---- within a transaction ----


class Tx:
    connection = "the session's connection"

    def __init__(self) -> None:
        self.callbacks: list[Any] = []

    def after_commit(self, callback: Any) -> None:
        self.callbacks.append(callback)


class Txs:
    def __init__(self) -> None:
        self.open: Tx | None = Tx()

    def current(self) -> Tx | None:
        return self.open


def test_a_plan_waits_for_the_commit(manager: QueueManager) -> None:
    """C77."""
    transactions = Txs()
    manager.transactions = transactions
    found = batch([Member("a")]).after_commit().dispatch()
    chain([Hear()]).before_commit()
    assert (RAN, found.pending) == ([], 1)
    assert transactions.open is not None
    [commit] = transactions.open.callbacks
    commit()
    assert RAN == ["a"]
    batch([Member("b")]).dispatch()
    assert RAN == ["a", "b"]


def test_a_bare_job_in_the_place_of_a_list_is_told_as_such() -> None:
    bare: Any = Member("a")
    for verb, act in {
        "batch": batch,
        "add": batch([]).add,
        "dispatch_many": onqueue.dispatch_many,
    }.items():
        with pytest.raises(
            NotBatchable, match=f"^{verb}\\(\\) takes a list, not job '{bare.name}'"
        ):
            act(bare)
