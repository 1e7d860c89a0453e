"""What every store of a schedule must do, as tests: a store's own tests subclass this.

A subclass gives the fixture `make_queue` as for `DriverContract`; the queue it makes has
`schedules()`, and a `time_offset` in seconds that moves the store's clock.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import pytest

from onqueue.clock import SystemClock
from onqueue.testing.driver_contract import MakeQueue, message
from onqueue.ticks import (
    KEPT_RECORDS,
    Guard,
    OpenTick,
    Pause,
    ScheduleStore,
    Settled,
    Settlement,
    TickRecord,
)

if TYPE_CHECKING:
    from onqueue.contracts import Queue

LEASE = 20.0


def last(tick: int) -> Guard:
    """Return what lets a tick be settled once."""
    return Guard("last", str(tick))


class ScheduleContract:
    """One leads; what it settles is settled once, wholly, and written down."""

    @pytest.fixture
    def queue(self, make_queue: MakeQueue) -> Any:
        """An empty connection."""
        return make_queue()

    @pytest.fixture
    def store(self, queue: Any) -> Iterator[ScheduleStore]:
        """Its store, led by "me"."""
        made: ScheduleStore = queue.schedules()
        assert made.lead("me", LEASE, "my name").leads
        yield made
        made.close()

    def test_one_leads_until_its_lease_is_over(self, queue: Any, store: ScheduleStore) -> None:
        """Then the next one does, and the first settles nothing more."""
        other = store.lead("other", LEASE, "its name")
        assert (other.leads, other.name) == (False, "my name")
        assert LEASE - 5 < other.left <= LEASE
        queue.time_offset += LEASE + 1
        assert store.term().name == ""
        assert store.lead("other", LEASE, "its name").leads
        assert store.settle("me", Settlement("report", last(1))) is Settled.LOST
        assert store.settle("other", Settlement("report", last(1))) is Settled.DONE

    def test_a_leader_renews_its_lease(self, queue: Any, store: ScheduleStore) -> None:
        """As long as it asks, it leads."""
        for _ in range(3):
            queue.time_offset += LEASE - 2
            assert store.lead("me", LEASE, "my name").leads
        assert not store.lead("other", LEASE, "its name").leads

    def test_who_resigns_leaves_a_place(self, store: ScheduleStore) -> None:
        """Only the leader can."""
        store.resign("other")
        assert store.term().name == "my name"
        store.resign("me")
        assert store.term().name == ""
        assert store.settle("me", Settlement("report", last(1))) is Settled.LOST
        assert store.lead("other", LEASE, "its name").leads

    def test_a_tick_is_settled_once_with_its_job(self, queue: Queue, store: ScheduleStore) -> None:
        """The second time nothing happens, not even to the history."""
        job = message(queue="reports")
        record = TickRecord("report", 1000, 1001, "ran", job=job.id)
        settlement = Settlement("report", last(1000), [record], ran=("redis", job.id), message=job)
        assert store.settle("me", settlement) is Settled.DONE
        assert store.settle("me", settlement) is Settled.BEFORE
        assert store.settle("me", Settlement("report", last(999))) is Settled.BEFORE
        assert store.history("report", 9) == [record]
        assert queue.size("reports").ready == 1
        assert queue.queues() == ["reports"]
        state = store.look(["report"]).entries["report"]
        assert (state.last, state.job, state.connection) == (1000, job.id, "redis")

    @pytest.mark.parametrize("kind", ["held", "opened", "order"])
    def test_a_guard_that_does_not_hold_lets_nothing_through(
        self, store: ScheduleStore, kind: Literal["held", "opened", "order"]
    ) -> None:
        """The entry stays as it is."""
        store.settle("me", Settlement("report", last(1000), held=1000))
        before = store.look(["report"])
        assert store.settle("me", Settlement("report", Guard(kind, "7"), held=7)) is Settled.BEFORE
        assert store.look(["report"]) == before

    def test_what_is_held_or_open_is_used_up_once(self, store: ScheduleStore) -> None:
        """As a tick is."""
        opened = OpenTick(2000, "f" * 32, "why")
        store.settle("me", Settlement("report", last(2000), held=1000, opened=opened))
        state = store.look(["report"]).entries["report"]
        assert (state.held, state.opened) == (1000, opened)
        for guard in (Guard("held", "1000"), Guard("opened", opened.to_json())):
            assert store.settle("me", Settlement("report", guard)) is Settled.DONE
            assert store.settle("me", Settlement("report", guard)) is Settled.BEFORE
        state = store.look(["report"]).entries["report"]
        assert (state.held, state.opened) == (None, None)

    def test_an_order_is_obeyed_once(self, store: ScheduleStore) -> None:
        """It is there until then, whoever leads."""
        order_id = store.order("report")
        (order,) = store.look([]).orders
        assert (order.id, order.entry) == (order_id, "report")
        settlement = Settlement("report", Guard("order", order_id))
        assert store.settle("me", settlement) is Settled.DONE
        assert store.settle("me", settlement) is Settled.BEFORE
        assert store.look([]).orders == []

    def test_pauses_end_when_resumed_or_over(self, queue: Any, store: ScheduleStore) -> None:
        """That of all entries bears the name ""."""
        until = store.term().now // 1000 + 60
        store.pause("report", "moving", until)
        store.pause(None)
        assert store.look([]).pauses == {"report": Pause("moving", until * 1000), "": Pause()}
        queue.time_offset += 61
        assert store.look([]).pauses == {"": Pause()}
        assert (store.resume(None), store.resume(None)) == (True, False)
        assert store.look([]).pauses == {}

    def test_the_history_is_bounded_newest_first(self, store: ScheduleStore) -> None:
        """Records of one settlement stand in their order."""
        for start in range(0, KEPT_RECORDS + 50, 50):
            ticks = range(start + 1, start + 51)
            records = [TickRecord("report", tick, tick, "skipped", "late") for tick in ticks]
            store.settle("me", Settlement("report", last(ticks[-1]), records))
        found = [record.tick for record in store.history("report", 10 * KEPT_RECORDS)]
        assert found == list(range(KEPT_RECORDS + 50, 50, -1))
        assert [record.tick for record in store.history("report", 2)] == found[:2]

    def test_a_wait_ends_by_news_by_a_vacancy_and_by_its_descriptor(
        self, queue: Any, store: ScheduleStore
    ) -> None:
        """None of these takes as long as the wait would."""
        other: ScheduleStore = queue.schedules()
        reader, writer = os.pipe()
        clock = SystemClock()
        began = clock.monotonic()
        try:
            other.order("report")
            store.wait(30, reader, leads=True)
            store.resign("me")
            other.wait(30, reader, leads=False)
            os.write(writer, b"1")
            other.wait(30, reader, leads=False)
            store.wait(30, reader, leads=True)
        finally:
            os.close(reader)
            os.close(writer)
            other.close()
        assert clock.monotonic() - began < 10
