"""Several schedulers: one leads, another follows it, and no tick is settled by both."""

from contextlib import closing

import pytest

from onqueue.clock import SystemClock
from onqueue.schedule.store import store_of
from onqueue.ticks import Guard, Settled, Settlement
from support.schedule_rig import Note, ScheduleRig

LEASE = 15.0
SHORT = 1.5
EIGHT = 1_772_352_000_000
"""The first of March 2026, 08:00 UTC, in milliseconds."""


def test_one_of_three_leads_and_the_others_wait_for_its_lease(rig: ScheduleRig) -> None:
    """B9."""
    rig.schedule.job(Note).hourly()
    rig.be_at("2026-03-01T07:30")
    first, second, third = (rig.scheduler(LEASE) for _ in range(3))
    assert first.step() == LEASE / 3
    assert second.step() == pytest.approx(LEASE, abs=1)
    assert third.step() == pytest.approx(LEASE, abs=1)
    rig.be_at("2026-03-01T08:00:01")
    for scheduler in (third, second, first):
        scheduler.step()
    assert rig.told("Note") == [("01 08:00", "ran", "")]


def test_a_leader_that_says_nothing_loses_its_place_and_settles_nothing_more(
    rig: ScheduleRig,
) -> None:
    """B9."""
    rig.schedule.job(Note).hourly()
    rig.be_at("2026-03-01T07:59:50")
    store = store_of(rig.manager)
    assert store.lead("stopped", LEASE, "first").leads
    known = Settlement("Note", Guard("last", str(EIGHT - 10_000)))
    assert store.settle("stopped", known) is Settled.DONE
    scheduler = rig.scheduler(LEASE)
    assert scheduler.step() == pytest.approx(LEASE, abs=1)
    rig.be_at("2026-03-01T08:00:06")
    scheduler.step()
    late = Settlement("Note", Guard("last", str(EIGHT)))
    assert store.settle("stopped", late) is Settled.LOST
    assert store.lead("stopped", LEASE, "first").name == store.term().name != "first"
    store.close()
    assert rig.told("Note") == [("01 08:00", "ran", "")]


def test_who_gives_the_leadership_up_leaves_it_to_the_next_at_once(rig: ScheduleRig) -> None:
    """B9."""
    rig.schedule.job(Note).hourly()
    first, second = rig.scheduler(LEASE), rig.scheduler(LEASE)
    first.step()
    assert second.step() > 1
    first.close()
    second.step()
    rig.schedulers.remove(first)
    store = store_of(rig.manager)
    assert store.term().left == pytest.approx(LEASE, abs=1)
    store.resign("somebody else")
    assert store.term().name, "only the leader can give up"
    store.close()


@pytest.mark.parametrize("kind", ["last", "held", "opened", "order"])
def test_a_settlement_whose_guard_does_not_hold_changes_nothing(
    rig: ScheduleRig, kind: str
) -> None:
    store = store_of(rig.manager)
    store.lead("me", LEASE, "me")
    assert store.settle("me", Settlement("Note", Guard("last", "1000"))) is Settled.DONE
    before = store.look(["Note"]).entries["Note"]
    settlement = Settlement("Note", Guard(kind, "1000"), held=500)  # type: ignore[arg-type]
    assert store.settle("me", settlement) is Settled.BEFORE
    assert store.look(["Note"]).entries["Note"] == before
    store.close()


def test_a_leader_keeps_its_place_while_an_entry_takes_its_time(rig: ScheduleRig) -> None:
    clock = SystemClock()
    took: list[bool] = []

    def slow() -> Note:
        with closing(store_of(rig.manager)) as store:
            until = clock.monotonic() + 2 * SHORT
            while clock.monotonic() < until:
                took.append(store.lead("other", SHORT, "other").leads)
                clock.sleep(0.01)
        return Note()

    rig.schedule.job(slow).hourly()
    rig.be_at("2026-03-01T07:59")
    scheduler = rig.scheduler(SHORT)
    scheduler.step()
    rig.be_at("2026-03-01T08:00")
    scheduler.step()
    assert took and not any(took)
    assert rig.told("slow") == [("01 08:00", "ran", "")]


def test_a_server_that_lost_everything_gets_a_new_leader_and_new_ticks(rig: ScheduleRig) -> None:
    rig.schedule.job(Note).hourly()
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    with rig.client() as client:
        client.flushall()
    rig.look("2026-03-01T08:30")
    rig.look("2026-03-01T09:00")
    assert rig.told("Note") == [("01 09:00", "ran", "")]
