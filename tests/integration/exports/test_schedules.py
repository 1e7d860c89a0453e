"""Schedules that are in trouble, and what the others make of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from meet2be.audit.services import SYSTEM
from meet2be.exports import schedules, services
from meet2be.exports.exporters import exporters
from meet2be.exports.models import Export, ExportSchedule
from meet2be.exports.schedules import Plan, run_due
from onqueue.testing.clock import FakeClock
from support.exporting import Exporting
from support.factories import make_user

DAY = timedelta(days=1).total_seconds()


def plan(desk: Exporting, name: str) -> ExportSchedule:
    """Add a daily schedule of names as CSV."""
    with desk.database.tenant_session(desk.tenant.id) as session:
        made = schedules.create(
            session, desk.event, desk.spec(), Plan(name, "daily", 0, 1, "07:30", "UTC"),
            desk.person, SYSTEM, desk.counter.clock.now(),
        )  # fmt: skip
        session.commit()
    return made


def change(desk: Exporting, schedule: ExportSchedule, **values: object) -> None:
    with desk.database.tenant_session(desk.tenant.id) as session:
        session.execute(
            update(ExportSchedule).where(ExportSchedule.id == schedule.id).values(**values),
            execution_options={"synchronize_session": False},
        )
        session.commit()


def seen(desk: Exporting, schedule: ExportSchedule) -> ExportSchedule:
    with desk.database.tenant_session(desk.tenant.id, read_only=True) as session:
        return session.get_one(ExportSchedule, schedule.id)


def exports(desk: Exporting) -> list[Export]:
    with desk.database.tenant_session(desk.tenant.id, read_only=True) as session:
        return list(session.scalars(select(Export).order_by(Export.id)))


def due(desk: Exporting) -> int:
    return run_due(desk.database, desk.counter.clock)


def test_two_schedules_with_one_wish_each_make_their_own_file(
    desk: Exporting, clock: FakeClock
) -> None:
    both = [plan(desk, "For us"), plan(desk, "For the caterer")]
    clock.advance(DAY)
    assert due(desk) == 2
    assert [export.schedule_id for export in exports(desk)] == [one.id for one in both]


def test_a_broken_schedule_keeps_no_other_from_its_file_and_stops_after_five_errors(
    desk: Exporting, clock: FakeClock
) -> None:
    broken, other = plan(desk, "Broken"), plan(desk, "Other")
    change(desk, broken, timezone="Nowhere/Never", next_at=clock.now())
    clock.advance(DAY)
    due(desk)
    assert [export.schedule_id for export in exports(desk)] == [other.id]
    assert (seen(desk, broken).error_count, seen(desk, broken).enabled) == (1, True)
    for _ in range(4):
        clock.advance(3601)
        due(desk)
    assert (seen(desk, broken).error_count, seen(desk, broken).enabled) == (5, False)


def test_a_format_that_is_gone_is_an_error_in_words(
    desk: Exporting, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(desk, "Daily")
    left = {key: one for key, one in exporters().items() if key != "csv"}
    monkeypatch.setattr(services, "exporters", lambda: left)
    clock.advance(DAY)
    due(desk)
    after = seen(desk, made)
    assert str(schedules.last_error(after)) == "There is no format 'csv' any more."
    assert after.next_at is not None
    assert after.next_at > clock.now()


def test_a_schedule_waits_while_too_many_exports_are_under_way(
    desk: Exporting, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(desk, "Daily")
    clock.advance(DAY)
    with monkeypatch.context() as patched:
        patched.setattr(services, "MOST_AT_ONCE", 0)
        assert due(desk) == 0
    assert (seen(desk, made).error_count, seen(desk, made).last_at) == (0, None)
    clock.advance(60)
    assert due(desk) == 1
    assert [export.planned_at for export in exports(desk)] == [made.next_at]


def test_schedules_of_a_suspended_organisation_are_made_up_once_when_it_is_active(
    desk: Exporting, clock: FakeClock
) -> None:
    from meet2be.organisations.suspension import lift

    made = plan(desk, "Daily")
    desk.suspend()
    for _ in range(7):
        clock.advance(DAY)
        assert due(desk) == 0
    assert (seen(desk, made).enabled, seen(desk, made).error_count) == (True, 0)
    with desk.database.tenant_session(desk.tenant.id) as session:
        lift(session, "", SYSTEM, clock.now())
        session.commit()
    assert [due(desk), due(desk)] == [1, 0]


@pytest.mark.parametrize("verb", ["change", "resume", "run"])
def test_a_schedule_of_who_has_left_becomes_that_of_who_takes_it_up(
    desk: Exporting, clock: FakeClock, verb: str
) -> None:
    mine = plan(desk, "For the caterer")
    left, owner = desk.person, make_user(desk.database, desk.tenant, "owner").id

    def take_up(person: int) -> int:
        now = clock.now()
        with desk.database.tenant_session(desk.tenant.id) as session:
            if verb == "change":
                again = Plan("For us", "daily", 0, 1, "07:30", "UTC")
                schedules.change(session, mine.uid, desk.spec(), again, person, SYSTEM, now)
            elif verb == "resume":
                schedules.switch(session, mine.uid, person, SYSTEM, now, on=True)
            else:
                schedules.run_now(session, mine.uid, person, SYSTEM, now)
            session.commit()
        return seen(desk, mine).owner_id

    assert take_up(owner) == left, "as long as they are here it stays theirs"
    for export in exports(desk):
        desk.run(export.uid)
    desk.remove()
    clock.advance(1)
    assert take_up(owner) == owner
    clock.advance(DAY)
    due(desk)
    assert desk.run(exports(desk)[-1].uid).state == "ready"
