"""Two people at one form: the second is told what the first saved, and loses nothing typed."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.db.sessions import Database
from meet2be.events.models import Event, TicketType
from meet2be.mailings.models import MailTemplate
from meet2be.mailings.rendering import source_of
from meet2be.tenancy.models import Tenant
from onqueue.testing.clock import FakeClock
from support.factories import make_tenant
from support.web import Person, Web, web_on

EVENT = {
    "title": "Aurora", "timezone": "Europe/Berlin", "currency": "EUR", "place": "Hall 3",
    "starts_at": "2027-06-10T09:00", "ends_at": "2027-06-11T18:00", "slug": "aurora",
    "description": "One.\r\n\r\nTwo.",
}  # fmt: skip
KIND = {"name": "Regular", "price": "119.00", "tax": "19", "quota": "10", "is_shipped": "no"}
SETTINGS = {
    "name": "Aurora GmbH", "language": "en", "timezone": "Europe/Berlin", "currency": "EUR",
    "confirm_limit": "1000.00", "reply_to": "",
}  # fmt: skip


@pytest.fixture
def web(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Web]:
    with web_on(sqlite_database, clock, tmp_path) as made:
        yield made


@pytest.fixture
def tenant(sqlite_database: Database) -> Tenant:
    return make_tenant(sqlite_database)


@pytest.fixture
def person(web: Web, tenant: Tenant) -> Person:
    return web.person(tenant)


@pytest.fixture
def event(person: Person) -> str:
    return person.post("/events/new", **EVENT).location.split("/")[2]


def seen_in(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', page)
    assert found is not None, "the form does not tell what it showed"
    return html.unescape(found[1])


def value_in(page: str, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]* value="([^"]*)"', page)
    assert found is not None
    return html.unescape(found[1])


def test_who_saves_second_sees_what_the_first_saved_and_may_save_again(
    person: Person, event: str, sqlite_database: Database, tenant: Tenant
) -> None:
    address = f"/events/{event}/edit"
    seen = seen_in(person.page(address))
    first = {**EVENT, "title": "By the first", "place": "Hall 4"}
    assert person.post(address, seen=seen, **first).status_code == 303
    refused = person.post(address, seen=seen, **{**EVENT, "title": "By the second"})
    assert refused.status_code == 409
    assert "Somebody else saved this after you opened it" in refused.text
    assert "By the first" in refused.text
    assert value_in(refused.text, "title") == "By the second"
    assert value_in(refused.text, "place") == "Hall 4"  # nobody had touched it here
    second = {**EVENT, "title": "By the second", "place": "Hall 4"}
    assert person.post(address, seen=seen_in(refused.text), **second).status_code == 303
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        now = session.scalars(select(Event)).one()
        assert (now.title, now.place) == ("By the second", "Hall 4")


def test_who_saves_the_same_or_what_nobody_else_touched_is_not_stopped(
    person: Person, event: str
) -> None:
    address = f"/events/{event}/edit"
    seen = seen_in(person.page(address))
    wanted = {**EVENT, "title": "By both"}
    assert person.post(address, seen=seen, **wanted).status_code == 303
    assert person.post(address, seen=seen, **wanted).status_code == 303
    wrong = person.post(address, seen=seen, **{**wanted, "ends_at": ""})
    assert wrong.status_code == 422
    assert seen_in(wrong.text) == seen
    assert person.post(address, seen="[nonsense", **wanted).status_code == 303


def test_a_kind_of_ticket_is_not_put_back(
    person: Person, event: str, sqlite_database: Database, tenant: Tenant
) -> None:
    person.post(f"/events/{event}/tickets/new", **KIND)
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        address = f"/ticket-types/{session.scalars(select(TicketType.uid)).one()}"
    seen = seen_in(person.page(address))
    assert person.post(address, seen=seen, **{**KIND, "quota": "20"}).status_code == 303
    refused = person.post(address, seen=seen, **{**KIND, "price": "99.00"})
    assert refused.status_code == 409
    assert (value_in(refused.text, "quota"), value_in(refused.text, "price")) == ("20", "99.00")


def test_the_text_of_a_mail_is_not_put_back(
    person: Person, sqlite_database: Database, tenant: Tenant
) -> None:
    address = "/mail/templates/welcome/en"
    subject, text = source_of("welcome", "en")
    seen = seen_in(person.page(address))
    first = {"action": "save", "subject": "ONE", "text": text}
    second = {"action": "save", "subject": subject, "text": text + "\r\nTWO"}
    assert person.post(address, seen=seen, **first).status_code == 303
    looked_at = person.post(address, seen=seen, **{**second, "action": "preview"})
    assert looked_at.status_code == 200
    refused = person.post(address, seen=seen_in(looked_at.text), **second)
    assert refused.status_code == 409
    assert value_in(refused.text, "subject") == "ONE"
    assert "TWO" in refused.text
    again = {**second, "subject": "ONE"}
    assert person.post(address, seen=seen_in(refused.text), **again).status_code == 303
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        saved = session.scalars(select(MailTemplate).where(MailTemplate.active)).one()
        assert (saved.subject, saved.text) == ("ONE", text + "\nTWO")


@pytest.mark.parametrize(
    ("address", "start", "first", "second", "kept"),
    [
        ("/settings", SETTINGS, {"name": "Two"}, {"reply_to": "a@b.example"}, ("name", "Two")),
        (
            "/settings/warehouse",
            {"name": "Store", "street": "A 1", "postcode": "1", "city": "B", "country": "DE"},
            {"street": "C 2"},
            {"city": "D"},
            ("street", "C 2"),
        ),
        (
            "/settings/postage",
            {"countries-0": "DE", "most-0": "10", "price-0": "5.00"},
            {"price-0": "6.00"},
            {},
            ("price-0", "6.00"),
        ),
    ],
)
def test_settings_are_not_put_back(
    person: Person,
    address: str,
    start: dict[str, str],
    first: dict[str, str],
    second: dict[str, str],
    kept: tuple[str, str],
) -> None:
    person.post(address, **start)
    seen = seen_in(person.page(address))
    assert person.post(address, seen=seen, **{**start, **first}).status_code == 303
    refused = person.post(address, seen=seen, **{**start, **second})
    assert refused.status_code == 409, refused.text
    name, value = kept
    assert value_in(refused.text, name) == value
    wanted = {**start, **second, name: value}
    assert person.post(address, seen=seen_in(refused.text), **wanted).status_code == 303


def test_nonsense_for_what_was_seen_breaks_nothing(person: Person) -> None:
    for nonsense in ("[" * 50_000, "{", "[1]", "7"):
        assert person.post("/settings", **SETTINGS, seen=nonsense).status_code == 303
    assert person.post("/settings", **SETTINGS, seen='{"name": [1]}').status_code in {303, 409}
