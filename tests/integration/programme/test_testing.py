"""An organisation in test mode: each of its events is a test, and nothing real is begun."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.audit.models import AuditEntry
from meet2be.audit.services import SYSTEM
from meet2be.db import Database
from meet2be.events.models import Event
from meet2be.programme.errors import NotInState
from meet2be.programme.testing import switch_test_mode
from onqueue.testing.clock import FakeClock
from support.api import program
from support.factories import Ticket, make_event, make_order
from support.house import House, housed
from support.meanwhile import while_begun

FORM = {
    "title": "Spring Days", "timezone": "Europe/Berlin", "currency": "EUR",
    "starts_at": "2027-06-10T09:00", "ends_at": "2027-06-11T18:00",
}  # fmt: skip
BANNER = "Your organisation is in test mode."


def begin(house: House) -> None:
    assert house.admin.post("/settings/test-mode", on="yes").status_code == 303


def events(house: House) -> dict[str, bool]:
    """Return which of the events are tests, by their titles."""
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        return {each.title: each.test_mode for each in session.scalars(select(Event))}


def change(house: House, event: Event, **fields: object) -> None:
    with house.database.tenant_session(house.tenant.id) as session:
        found = session.get_one(Event, event.id)
        for name, value in fields.items():
            setattr(found, name, value)
        session.commit()


def test_all_that_is_begun_in_test_mode_is_a_test_and_each_page_says_so(house: House) -> None:
    make_event(house.database, house.tenant, title="A draft", status="draft")
    assert BANNER not in house.admin.page("/events")
    begin(house)
    organiser = house.web.person(house.tenant, "organiser")
    assert BANNER in organiser.page("/events")
    made = organiser.post("/events/new", **FORM)
    assert events(house) == {"A draft": True, "Spring Days": True}
    uid = made.location.split("/")[2]
    refused = organiser.post(f"/events/{uid}/edit", **FORM)
    assert refused.status_code == 422
    assert "and its events with it" in refused.text
    assert "Spring Days" in house.admin.page("/settings/test-mode")
    assert house.admin.post("/settings/test-mode", on="").status_code == 303
    assert BANNER not in organiser.page("/events")
    assert events(house) == {"A draft": True, "Spring Days": True}, "tests stay tests"
    assert organiser.post(f"/events/{uid}/edit", **FORM).status_code == 303
    assert events(house)["Spring Days"] is False
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        told = session.scalars(
            select(AuditEntry.after).where(AuditEntry.action == "tenant.test_mode")
        )
        assert list(told) == [{"test_mode": True}, {"test_mode": False}]


@pytest.mark.parametrize("status", ["live", "cancelling", "draft"])
def test_nothing_real_goes_on_beside_tests(house: House, status: str) -> None:
    event = make_event(house.database, house.tenant, title="Gala", status=status)
    if status == "draft":
        make_order(house.database, event, (Ticket(),))
    refused = house.admin.post("/settings/test-mode", on="yes")
    assert refused.status_code == 409
    assert "“Gala” is real" in refused.text
    assert events(house) == {"Gala": False}
    assert BANNER not in house.admin.page("/events")


def test_an_event_that_was_taken_off_its_page_and_is_over_stays_as_it_is(house: House) -> None:
    event = make_event(house.database, house.tenant, title="Gala", status="draft")
    make_order(house.database, event, (Ticket(),))
    past = datetime(2020, 1, 1, tzinfo=UTC)
    change(house, event, starts_at=past, ends_at=past)
    begin(house)
    assert events(house) == {"Gala": False}


def test_a_real_event_that_is_over_stays_as_it_is(house: House) -> None:
    event = make_event(house.database, house.tenant, title="Gala")
    past = datetime(2020, 1, 1, tzinfo=UTC)
    change(house, event, status="live", starts_at=past, ends_at=past)
    begin(house)
    assert events(house) == {"Gala": False}
    again = house.admin.post(f"/events/{event.uid}/edit", **FORM)
    assert again.status_code == 409
    assert "This event is real" in again.text


def test_programs_begin_and_end_it(house: House) -> None:
    owner = program(house.web, house.tenant, "owner")
    assert owner.ask("PUT", "/settings/test-mode", {"on": True}).get_json() == {"on": True}
    assert owner.get("/settings/test-mode") == {"on": True}
    made = owner.post("/events", {
        "title": "Spring Days", "timezone": "Europe/Berlin", "currency": "EUR",
        "starts_at": "2027-06-10T09:00:00+02:00", "ends_at": "2027-06-11T18:00:00+02:00",
    }).get_json()  # fmt: skip
    assert made["test_mode"] is True
    patched = owner.ask("PATCH", f"/events/{made['uid']}", {"title": "Summer Days"})
    assert patched.get_json()["title"] == "Summer Days"
    assert owner.ask("PUT", "/settings/test-mode", {"on": False}).get_json() == {"on": False}
    make_event(house.database, house.tenant)
    assert owner.ask("PUT", "/settings/test-mode", {"on": True}).status_code == 409


@pytest.mark.postgres
def test_an_event_made_while_the_test_mode_begins_is_a_test(
    postgres_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    with housed(postgres_database, clock, tmp_path) as house:
        organiser = house.web.person(house.tenant, "organiser")
        organiser.token()
        with postgres_database.tenant_session(house.tenant.id) as session:
            assert switch_test_mode(session, SYSTEM, on=True)
            session.flush()
            answer = while_begun(
                postgres_database, session, lambda: organiser.post("/events/new", **FORM)
            )
        assert answer.status_code == 303
        assert events(house) == {"Spring Days": True}
        with postgres_database.tenant_session(house.tenant.id) as session:
            assert not switch_test_mode(session, SYSTEM, on=True), "it is on"
            make_event(postgres_database, house.tenant, slug="gala")
            switch_test_mode(session, SYSTEM, on=False)
            with pytest.raises(NotInState):
                switch_test_mode(session, SYSTEM, on=True)
