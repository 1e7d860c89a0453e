"""Two changes of one event or kind of ticket at once, on the server that lets both in."""

from pathlib import Path

import pytest

from meet2be.db import Database
from meet2be.programme.events import locked_event
from meet2be.programme.tickets import locked_ticket
from onqueue.testing.clock import FakeClock
from support.api import program
from support.house import housed
from support.meanwhile import while_begun

pytestmark = pytest.mark.postgres
EVENT = {
    "title": "Spring Days", "timezone": "Europe/Berlin", "currency": "EUR",
    "starts_at": "2027-06-10T09:00:00+02:00", "ends_at": "2027-06-11T18:00:00+02:00",
}  # fmt: skip


def test_a_new_quota_does_not_take_a_new_price_back(
    postgres_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    with housed(postgres_database, clock, tmp_path) as house:
        owner = program(house.web, house.tenant, "owner")
        event = owner.post("/events", EVENT).get_json()
        kind = {"name": "Regular", "price_minor": 11_900, "quota": 5}
        uid = owner.post(f"/events/{event['uid']}/ticket-types", kind).get_json()["uid"]
        with postgres_database.tenant_session(house.tenant.id) as session:
            ticket, _event = locked_ticket(session, uid)
            ticket.price_minor = 4_900
            session.flush()
            answer = while_begun(
                postgres_database,
                session,
                lambda: owner.ask("PATCH", f"/ticket-types/{uid}", {"quota": 500}),
            )
        told = answer.get_json()
        assert (told["price_minor"], told["quota"]) == (4_900, 500)


def test_of_two_events_that_take_one_name_the_second_is_refused_in_words(
    postgres_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    with housed(postgres_database, clock, tmp_path) as house:
        owner = program(house.web, house.tenant, "owner")
        first, second = (owner.post("/events", EVENT).get_json()["uid"] for _ in range(2))
        with postgres_database.tenant_session(house.tenant.id) as session:
            locked_event(session, first).slug = "spring"
            session.flush()
            answer = while_begun(
                postgres_database,
                session,
                lambda: owner.ask("PATCH", f"/events/{second}", {"slug": "spring"}),
            )
        assert answer.status_code == 422
        assert "has this name already" in answer.text


def test_a_kind_is_not_opened_again_in_an_event_that_is_cancelled_meanwhile(
    postgres_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    with housed(postgres_database, clock, tmp_path) as house:
        owner = program(house.web, house.tenant, "owner")
        event = owner.post("/events", EVENT).get_json()["uid"]
        kind = {"name": "Regular", "price_minor": 11_900, "quota": 5}
        uid = owner.post(f"/events/{event}/ticket-types", kind).get_json()["uid"]
        owner.post(f"/ticket-types/{uid}/close")
        with postgres_database.tenant_session(house.tenant.id) as session:
            locked_event(session, event).status = "cancelling"
            session.flush()
            answer = while_begun(
                postgres_database, session, lambda: owner.post(f"/ticket-types/{uid}/reopen")
            )
        assert answer.status_code == 409
