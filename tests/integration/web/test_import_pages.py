"""The pages of imports: who may upload what, how large, and what they say."""

import io
from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.db import Database
from meet2be.imports.desk import ImportDesk
from meet2be.imports.models import Import
from meet2be.web.app import LARGEST_REQUEST
from onqueue.testing.clock import FakeClock
from support.factories import make_event, make_tenant
from support.importing import PEOPLE, Importing
from support.web import Person, Web, web_on

ADA = "Ada,ada@example.org,Analytical\r\n"


@pytest.fixture
def web(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Web:
    """The pages."""
    with web_on(sqlite_database, clock, tmp_path) as made:
        return made


@pytest.fixture
def rig(web: Web, clock: FakeClock) -> Importing:
    """An organisation, and its administrator at a browser."""
    database = web.services.database
    tenant = make_tenant(database)
    admin = web.person(tenant, "admin")
    assert admin.user is not None
    desk = ImportDesk(database, web.services.store, clock)
    web.people.append(admin)
    return Importing(database, desk, tenant, make_event(database, tenant), admin.user)


def send(person: Person, rig: Importing, data: bytes, kind: str = "attendees") -> int:
    """Upload a file through the form; return the answer's status."""
    answer = person.client.post(
        "/imports/new",
        data={
            "csrf_token": person.token(),
            "kind": kind,
            "event": rig.event.uid,
            "file": (io.BytesIO(data), "list.csv"),
        },
    )
    answer.request.environ["wsgi.input"].close()  # a large one lies on disk
    return answer.status_code


def test_a_file_larger_than_other_requests_comes_in(web: Web, rig: Importing) -> None:
    rows = ADA.encode() * (LARGEST_REQUEST // len(ADA) + 1000)
    assert send(web.people[0], rig, PEOPLE.encode() + rows) == 303
    with rig.database.tenant_session(rig.tenant.id) as session:
        found = session.scalars(select(Import)).one()
    assert found.bytes > LARGEST_REQUEST
    assert found.state == "uploaded"


def test_strangers_may_not_send_so_much(web: Web, rig: Importing) -> None:
    person = web.anybody()
    assert send(person, rig, b"x" * (LARGEST_REQUEST + 1)) == 413


def test_organisers_import_attendees_but_no_people(web: Web, rig: Importing) -> None:
    organiser = web.person(rig.tenant, "organiser")
    assert send(organiser, rig, (PEOPLE + ADA).encode()) == 303
    assert send(organiser, rig, b"E-mail\nada@example.org\n", "users") == 403
    people = rig.upload("E-mail\nada@example.org\n", "users")
    assert organiser.get(f"/imports/{people}/layout").status_code == 403
    assert "list.csv" in organiser.page("/imports")
    assert organiser.page("/imports").count("list.csv") == 1
    assert "People of the organisation" not in organiser.page("/imports/new")


def test_what_is_wrong_with_a_file_is_said_where_it_was_chosen(web: Web, rig: Importing) -> None:
    person = web.people[0]
    answer = person.client.post(
        "/imports/new",
        data={"csrf_token": person.token(), "kind": "attendees", "event": rig.event.uid,
              "file": (io.BytesIO(b"%PDF-1.7"), "list.csv")},
    )  # fmt: skip
    assert answer.status_code == 422
    assert "This is a PDF." in answer.text


def test_the_pages_speak_german_to_those_who_do(web: Web, rig: Importing) -> None:
    person = web.person(rig.tenant, "admin", locale="de-DE")
    uid = rig.checked(PEOPLE + ADA + ",b@example.org,\r\nEva,ADA@example.org,\r\n")
    page = person.page(f"/imports/{uid}")
    assert "1 Zeile importieren" in page
    assert "Name: ist leer. Bitte ausfüllen." in page
    assert "wiederholt Zeile 2: dieselbe Adresse." in page
    lines = person.get(f"/imports/{uid}/rejected.csv").text.splitlines()
    assert lines[0].endswith(",Zeile,Was daraus wurde,Warum")
    assert lines[1].endswith(",nicht übernehmbar,Name: ist leer. Bitte ausfüllen.")
    sample = person.get("/imports/sample/attendees.csv").text
    assert sample.startswith("\ufeffName,E-Mail-Adresse,Firma,Ticket,Bezahlter Preis,Sprache")
    assert set(rig.row(rig.upload(sample)).mapping) >= {"name", "email", "ticket", "price", "notes"}


def test_rows_are_paged_and_filtered_by_address(web: Web, rig: Importing) -> None:
    rows = "".join(f",x{number}@example.org,\r\n" for number in range(70))
    uid = rig.checked(PEOPLE + rows + ADA)
    person = web.people[0]
    first = person.page(f"/imports/{uid}")
    assert "Next →" in first
    second = person.page(f"/imports/{uid}?after=51")
    assert ">71<" in second
    assert "Ada" in person.page(f"/imports/{uid}?state=valid")
    answer = person.get(f"/imports/{uid}/rejected.csv")
    assert answer.text.count("\r\n") == 71


def test_a_button_pressed_twice_says_that_it_was(web: Web, rig: Importing) -> None:
    uid = rig.checked(PEOPLE + ADA)
    person = web.people[0]
    assert person.post(f"/imports/{uid}/start").status_code == 303
    answer = person.post(f"/imports/{uid}/start")
    assert answer.status_code == 409
    assert "Reload the page" in answer.text
