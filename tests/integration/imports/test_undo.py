"""What an undo must not take, and what it says when it cannot take something back."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, update

from meet2be import facts
from meet2be.attendees.models import Attendee
from meet2be.db import Database
from meet2be.events.facts import EventDataStale
from meet2be.imports.closing import end_step
from meet2be.imports.errors import words_for
from meet2be.imports.listing import progress_of
from meet2be.imports.steps import chunk_failed
from meet2be.notifications.models import Notification
from onqueue.testing.clock import FakeClock
from support.importing import PEOPLE, Importing, importing
from support.meanwhile import while_begun

ADA = "Ada,ada@example.org,\r\n"


@pytest.mark.postgres
def test_an_undo_waits_for_who_changes_an_attendee_and_leaves_that_one(
    postgres_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    rig = importing(postgres_database, clock, tmp_path)
    uid = rig.imported(PEOPLE + ADA + "Bob,bob@example.org,\r\n")
    clock.advance(60)
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.execute(
            update(Attendee).where(Attendee.name == "Bob").values(company="Changed"),
            execution_options={"synchronize_session": False},
        )
        assert while_begun(rig.database, session, lambda: rig.undo(uid)) == "undone"
    assert rig.states(uid) == {2: "undone", 3: "kept"}
    assert [each.name for each in rig.attendees()] == ["Bob"]


def test_an_undo_says_what_became_of_the_tickets_that_stay(
    rig: Importing, clock: FakeClock
) -> None:
    uid = rig.imported(PEOPLE + "".join(f"P{n},p{n}@example.org,\r\n" for n in range(4)))
    clock.advance(60)
    with rig.database.tenant_session(rig.tenant.id) as session:
        for name, status in (("P0", "cancelled"), ("P1", "checked_in"), ("P2", "active")):
            session.execute(
                update(Attendee).where(Attendee.name == name).values(status=status),
                execution_options={"synchronize_session": False},
            )
        session.commit()
    rig.undo(uid)
    assert rig.states(uid) == {2: "kept", 3: "kept", 4: "kept", 5: "undone"}
    assert "the ticket was cancelled after the import" in rig.why(uid, 2)
    assert "the ticket was checked in after the import" in rig.why(uid, 3)
    assert "was changed after the import" in rig.why(uid, 4)
    with rig.database.tenant_session(rig.tenant.id, read_only=True) as session:
        progress = progress_of(session, rig.row(uid))
        notices = session.scalars(select(Notification).order_by(Notification.id.desc())).all()
    assert (progress.percent, progress.rows["undone"], progress.rows["kept"]) == (100, 1, 3)
    assert notices[0].title == "The import of 'list.csv' was undone in part"


def test_an_undo_that_took_nothing_back_does_not_say_that_it_did(
    rig: Importing, clock: FakeClock
) -> None:
    uid = rig.imported(PEOPLE + ADA)
    clock.advance(60)
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.execute(
            update(Attendee).values(status="cancelled"),
            execution_options={"synchronize_session": False},
        )
        session.commit()
    rig.undo(uid)
    with rig.database.tenant_session(rig.tenant.id, read_only=True) as session:
        told = session.scalars(select(Notification).order_by(Notification.id.desc())).first()
    assert told is not None
    assert told.title == "Nothing of the import of 'list.csv' could be undone"


def test_the_figures_follow_an_import_and_its_undo(
    rig: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[object] = []
    monkeypatch.setattr(facts, "note", lambda _session, fact: noted.append(fact))
    uid = rig.imported(PEOPLE + ADA)
    stale = EventDataStale(rig.event.uid)
    assert noted.count(stale) == 1
    rig.undo(uid)
    assert noted.count(stale) == 2


def test_an_undo_that_fails_in_part_tells_the_person(rig: Importing) -> None:
    uid = rig.imported(PEOPLE + ADA)
    with rig.database.tenant_session(rig.tenant.id) as session:
        before = session.scalars(select(Notification.id)).all()
    rig.begin_undo(uid)
    turn = rig.row(uid).turn
    chunk_failed(rig.desk, rig.tenant.id, uid, turn, 1, words_for(OSError("x")))
    assert end_step(rig.desk, rig.tenant.id, uid, turn, "undo")
    assert rig.row(uid).state == "done_with_errors"
    with rig.database.tenant_session(rig.tenant.id) as session:
        told = session.scalars(select(Notification).where(Notification.id.not_in(before))).one()
    assert told.title == "The import of 'list.csv' could not be undone as a whole"
    assert rig.undo(uid) == "undone"


def test_an_update_says_of_tickets_and_prices_that_they_stay(rig: Importing) -> None:
    head = "Name,E-mail,Company,Ticket,Price\r\n"
    rig.imported(head + "Ada,ada@example.org,,Regular,10.00\r\nBob,bob@example.org,,Regular,10.00")
    changed = "Ada,ada@example.org,,VIP,20.00\r\nBob,bob@example.org,Bakery,Regular,20.00"
    uid = rig.imported(head + changed, duplicates="update")
    assert rig.states(uid) == {2: "skipped", 3: "updated"}
    assert "is “Regular” here; an update changes no ticket." in rig.why(uid, 2)
    assert "else is as it is here already." in rig.why(uid, 2)
    assert "is €10.00 here; an update changes no price." in rig.why(uid, 3)
    assert {each.price_minor for each in rig.attendees()} == {1_000}


def test_imports_can_be_undone_one_after_the_other(rig: Importing, clock: FakeClock) -> None:
    first = rig.imported(PEOPLE + ADA + "Bob,bob@example.org,B\r\n")
    clock.advance(60)
    second = rig.imported(PEOPLE + "Ada,ada@example.org,Engines\r\n", duplicates="update")
    assert rig.states(second) == {2: "updated"}
    clock.advance(60)
    rig.undo(second)
    clock.advance(60)
    rig.undo(first)
    assert rig.states(first) == {2: "undone", 3: "undone"}
    assert rig.count() == 0
