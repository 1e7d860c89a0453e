"""The list of attendees: found by beginnings of words, sorted, each over an index."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update
from sqlalchemy.orm import Session

from meet2be.attendees import finding
from meet2be.attendees.keys import keys_of
from meet2be.attendees.listing import (
    FILTERS,
    SORTS,
    AttendeeList,
    AttendeeSearch,
    order_of,
    place_of,
    position_of,
)
from meet2be.attendees.models import Attendee
from meet2be.db import Database
from meet2be.db.columns import new_uid
from meet2be.db.keyset import Slice
from meet2be.events import listing as events
from meet2be.events.models import Event
from meet2be.tenancy.models import Tenant
from support.factories import Ticket, make_event, make_order, make_tenant

FIRST = ("Anna", "anna", "Zoé", "Zoe", "Ben", "Özlem", "Dr. Ida", "Jean-Luc")
LAST = ("Schmidt", "Müller-Fisch", "O'Hara", "van der Berg", "", "%", "Schmid_t")


@dataclass
class Hall:
    """An event with many people, and another organisation's with the same names."""

    database: Database
    tenant: Tenant
    event: Event

    def sees(self) -> Session:
        return self.database.tenant_session(self.tenant.id, read_only=True)


def crowd(database: Database, number: int) -> Hall:
    """Return a hall with so many people of few names, some without address."""
    tenant = make_tenant(database)
    place = make_event(database, tenant)
    made = make_order(database, place, [Ticket(name="Anna Schmidt", email="a@first.org")])
    one = made.attendee
    chance = random.Random(number)
    rows = []
    for index in range(number):
        first, last = chance.choice(FIRST), chance.choice(LAST)
        email = None if index % 7 == 0 else f"p{index % 40}@{chance.choice(('acme.de', 'x.org'))}"
        row = {
            "name": f"{first} {last}".strip(), "email_norm": email,
            "company": "Acme Labs" if index % 11 == 0 else None, "ticket_code": f"B{index}-1",
        }  # fmt: skip
        refunded = 100 if index % 13 == 0 else 0
        rows.append(
            {
                **row,
                **keys_of(row),
                "tenant_id": tenant.id,
                "uid": new_uid(),
                "email": email,
                "event_id": place.id,
                "order_id": one.order_id,
                "price_minor": 500,
                "ticket_type_id": one.ticket_type_id,
                "locale": "en",
                "currency": "EUR",
                "status": chance.choice(("active", "cancelled", "checked_in")),
                "refunded_minor": refunded,
                "created_at": database.clock.now(),
                "updated_at": database.clock.now(),
            }
        )
    with database.tenant_connection(tenant.id) as connection, connection.begin():
        connection.execute(insert(Attendee.__table__), rows)  # type: ignore[arg-type]
    return Hall(database, tenant, place)


@pytest.fixture
def hall(database: Database) -> Hall:
    crowd(database, 5)
    return crowd(database, 60)


def leafed(session: Session, hall: Hall, search: AttendeeSearch, sort: str) -> list[Attendee]:
    """Return the whole list, page after page, after having gone back each page as well."""
    order, part, everybody = order_of(search, sort), Slice(size=25), []
    previous: list[int] = []
    while True:
        page = AttendeeList(session, hall.event.id, search).page(part, sort)
        found = [attendee for attendee, _ in page.rows]
        if previous:
            before = Slice(before=position_of(session, found[0].uid, order), size=25)
            back = AttendeeList(session, hall.event.id, search).page(before, sort)
            assert [attendee.id for attendee, _ in back.rows] == previous
        everybody += found
        if not page.has_later:
            return everybody
        previous = [attendee.id for attendee in found]
        part = Slice(after=place_of(found[-1], order), size=25)


def wanted(people: list[Attendee], fits: Callable[[Attendee], bool], sort: str) -> list[int]:
    columns = [column.key for column in SORTS[sort].columns]
    found = [person for person in people if fits(person)]
    found.sort(
        key=lambda person: [getattr(person, column) for column in columns],
        reverse=sort.startswith("-"),
    )
    return [person.id for person in found]


def begins(*words: str) -> Callable[[Attendee], bool]:
    def fits(person: Attendee) -> bool:
        keys = (
            person.name_key, person.rest_key, person.last_key or "", person.company_key or "",
            person.email_key, person.domain_key, person.code_key,
        )  # fmt: skip
        return all(any(key.startswith(word) for key in keys) for word in words)

    return fits


SEARCHES: dict[str, tuple[str, str, Callable[[Attendee], bool]]] = {
    "everybody": ("", "", lambda _: True),
    "a first name": ("ANNA", "", begins("anna")),
    "without accents": ("zoe", "", begins("zoe")),
    "two words": ("schm ann", "", begins("ann", "schm")),
    "a double name": ("fisch", "", begins("fisch")),
    "a last word": ("berg", "", begins("berg")),
    "a domain": ("@acme", "", lambda person: person.domain_key == "acme.de"),
    "an address": ("p1@", "", begins("p1@")),
    "a code": ("b12", "", begins("b12")),
    "a company": ("acme labs", "", lambda person: person.company is not None),
    "a percent": ("%", "", begins("%")),
    "no one": ("nobody", "", lambda _: False),
    "in a state": ("", "cancelled", lambda person: person.status == "cancelled"),
    "paid back": ("", "refunded", lambda person: person.refunded_minor > 0),
    "without address": ("o'ha", "no_address", lambda p: p.email is None and begins("o'ha")(p)),
}


def test_each_search_in_each_order_is_leafed_through_without_loss_or_repeat(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hall.sees() as session:
        people = list(session.scalars(select(Attendee).where(Attendee.event_id == hall.event.id)))
        for number, (name, few, walked) in enumerate(product(SEARCHES, (10_000, 12, 0), (5, 20))):
            if few == 10_000 and walked == 5:
                continue  # nothing is walked
            monkeypatch.setattr(finding, "FEW", few)
            monkeypatch.setattr(finding, "REMEMBERED", few // 3)
            monkeypatch.setattr(finding, "WALKED", walked)
            words, state, fits = SEARCHES[name]
            search = AttendeeSearch(words, state)
            sort = list(SORTS)[number % len(SORTS)]
            found = [person.id for person in leafed(session, hall, search, sort)]
            assert found == wanted(people, fits, sort), (name, sort)
            number_found, is_exact = AttendeeList(session, hall.event.id, search).count()
            right = len(wanted(people, fits, "name"))
            assert number_found == right if is_exact else number_found <= right, name


def test_keys_follow_each_change_of_a_person(hall: Hall) -> None:
    with hall.database.tenant_session(hall.tenant.id) as session:
        person = session.scalars(select(Attendee).where(Attendee.name == "Anna Schmidt")).first()
        assert person is not None
        person.name, person.company = "Émile  Zola", "Straße & Söhne"
        person.email = person.email_norm = "e@zola.fr"
        session.commit()
        uid = person.uid
    with hall.sees() as session:
        for words in ("emil zol", "strasse", "zola.fr"):
            page = AttendeeList(session, hall.event.id, AttendeeSearch(words)).page(Slice())
            assert uid in [row[0].uid for row in page.rows], words


def test_other_organisations_see_nobody_of_it(hall: Hall) -> None:
    stranger = make_tenant(hall.database)
    with hall.database.tenant_session(stranger.id, read_only=True) as session:
        for words, state in (("", ""), ("anna", ""), ("", "active"), ("anna schm", "cancelled")):
            found = AttendeeList(session, hall.event.id, AttendeeSearch(words, state))
            assert found.page(Slice()).rows == []
            assert found.count() == (0, True)
        assert events.figures(session, hall.event.id).attendees == 0


def test_figures_are_those_of_all_attendees_in_all_currencies(hall: Hall) -> None:
    with hall.database.tenant_session(hall.tenant.id) as session:
        some = select(Attendee.id).where(Attendee.status == "active").limit(3)
        numbers = list(session.scalars(some))
        session.execute(update(Attendee).where(Attendee.id.in_(numbers)).values(currency="CHF"))
        session.commit()
        people = list(session.scalars(select(Attendee)))
        found = events.figures(session, hall.event.id)
    assert found.attendees == len(people) == 61
    assert found.statuses["active"] == sum(each.status == "active" for each in people)
    for currency in ("EUR", "CHF"):
        mine = [each for each in people if each.currency == currency]
        assert found.charged_minor[currency] == sum(each.price_minor for each in mine)
        assert found.refunded_minor[currency] == sum(each.refunded_minor for each in mine)


@contextmanager
def plans(session: Session) -> Iterator[list[str]]:
    """Yield the plans of all statements that are made meanwhile, without whole scans at hand."""
    connection = session.connection()
    found: list[str] = []
    on_sqlite = connection.dialect.name == "sqlite"
    if not on_sqlite:
        # So few rows are read fastest from first to last: asked is what a plan can do.
        for way in ("seqscan", "sort", "bitmapscan"):
            connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")

    def explain(_connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().startswith("SELECT"):
            words = "EXPLAIN QUERY PLAN" if on_sqlite else "EXPLAIN"
            cursor.execute(f"{words} {statement}", values)
            found.append("\n".join(str(row[-1]) for row in cursor.fetchall()))

    event.listen(connection, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(connection, "before_cursor_execute", explain)


INDEXES = {
    ("", "", "name"): "name_key", ("", "", "-email"): "email_key",
    ("", "", "registered"): "event_id_id", ("", "", "state"): "status_name_key",
    ("", "checked_in", "name"): "status_name_key", ("", "no_address", "name"): "no_address",
    ("", "refunded", "-name"): "refunded", ("schm", "", "name"): "rest_key",
    ("", "", "ticket"): "ticket_type_id_name_key", ("", "", "-ticket"): "ticket_type_id_name_key",
    ("anna", "", "email"): "domain_key", ("b1", "", "name"): "code_key",
}  # fmt: skip


def test_every_list_is_read_from_its_index(hall: Hall) -> None:
    with hall.sees() as session:
        for (words, state, sort), index in INDEXES.items():
            with plans(session) as found:
                wanted_list = AttendeeList(session, hall.event.id, AttendeeSearch(words, state))
                wanted_list.page(Slice(), sort)
            assert any(index in plan for plan in found), (index, found)
            for plan in found:
                assert "SCAN attendees\n" not in f"{plan}\n", plan
                assert "Seq Scan on attendees" not in plan, plan


def test_every_state_has_a_list(hall: Hall) -> None:
    with hall.sees() as session:
        for state in FILTERS:
            found = AttendeeList(session, hall.event.id, AttendeeSearch("", state))
            number, is_exact = found.count()
            assert is_exact
            assert len(found.page(Slice(size=500)).rows) == number, state
