"""An organiser makes an event and its kinds of tickets, publishes it, changes what may change."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from meet2be.audit.models import AuditEntry
from meet2be.events.models import Event, TicketType
from meet2be.webhooks.models import WebhookEvent
from support.hooks import make_endpoint
from support.house import House
from support.web import Person

EVENT = {
    "title": "Größe & Kunst", "timezone": "Europe/Berlin", "currency": "EUR",
    "starts_at": "2027-06-10T09:00", "ends_at": "2027-06-11T18:00", "place": "Halle 3",
    "description": "First line.\r\n\r\nSecond\x00 line.",
}  # fmt: skip
KIND = {"name": "Regular", "price": "119,00", "tax": "19", "quota": "10"}


@pytest.fixture
def organiser(house: House) -> Person:
    return house.web.person(house.tenant, "organiser")


def make_event(person: Person, **fields: str) -> str:
    """Make an event by the form; return its name."""
    answer = person.post("/events/new", **{**EVENT, **fields})
    assert answer.status_code == 303, answer.text
    return answer.location.split("/")[2]


def make_kind(person: Person, event: str, **fields: str) -> None:
    answer = person.post(f"/events/{event}/tickets/new", **{**KIND, **fields})
    assert answer.status_code == 303, answer.text


def event_of(house: House, uid: str) -> Event:
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        return session.scalars(select(Event).where(Event.uid == uid)).one()


def kinds_of(house: House, event: str) -> list[TicketType]:
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        mine = select(TicketType).join(Event, Event.id == TicketType.event_id)
        return list(session.scalars(mine.where(Event.uid == event).order_by(TicketType.position)))


def sell(house: House, kind: TicketType, sold: int, held: int = 0) -> None:
    with house.database.tenant_session(house.tenant.id) as session:
        session.execute(
            update(TicketType).where(TicketType.id == kind.id).values(sold=sold, held=held)
        )
        session.commit()


def error_at(page: str, field: str) -> str:
    found = re.search(rf'id="{field}-problem"[^>]*>([^<]+)<', page)
    assert found is not None, f"there is no error at '{field}'"
    return found[1]


def test_an_event_is_made_gets_tickets_is_published_and_sells(
    house: House, organiser: Person
) -> None:
    make_endpoint(house.database, house.tenant.id, all_types=True)
    uid = make_event(organiser)
    made = event_of(house, uid)
    assert (made.slug, made.status, made.place) == ("groesse-kunst", "draft", "Halle 3")
    assert made.starts_at == datetime(2027, 6, 10, 7, tzinfo=UTC)
    assert made.description == "First line.\n\nSecond  line."
    refused = organiser.post(f"/events/{uid}/publish")
    assert "Create a ticket type first" in organiser.page(refused.location)
    make_kind(organiser, uid)
    make_kind(organiser, uid, name="Poster", price="0", is_shipped="yes")
    assert "published" in organiser.page(organiser.post(f"/events/{uid}/publish").location)
    box = house.web.anybody().page(f"/t/{house.tenant.slug}/groesse-kunst")
    assert "Halle 3" in box
    assert "First line." in box
    assert box.index("Regular") < box.index("Poster")
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        actions = list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
        told = set(session.scalars(select(WebhookEvent.type)))
    assert actions[-4:] == [
        "event.created", "ticket_type.created", "ticket_type.created", "event.published"
    ]  # fmt: skip
    assert told == {"event.created", "ticket_type.created", "event.published"}


def test_an_event_of_the_same_title_gets_another_address(house: House, organiser: Person) -> None:
    slugs = [event_of(house, make_event(organiser)).slug for _ in range(3)]
    assert slugs == ["groesse-kunst", "groesse-kunst-2", "groesse-kunst-3"]
    taken = organiser.post("/events/new", **EVENT, slug="groesse-kunst")
    assert "has this name already" in error_at(taken.text, "slug")


def test_what_cannot_be_is_said_at_its_field(organiser: Person) -> None:
    for field, value, words in (
        ("title", " \x00 ", "cannot be empty"),
        ("ends_at", "2027-06-10T08:59", "must end after it begins"),
        ("ends_at", "soon", "Give a day and a time"),
        ("starts_at", "2027-03-28T02:30", "02:30 does not come"),
        ("timezone", "Mars/Base", "time zone of the list"),
        ("currency", "XYZ", "three letters"),
        ("capacity", "-3", "no whole number"),
        ("capacity", "0", "from 1 on"),
        ("slug", "Ä b", "small letters"),
        ("on_sale_until", "2026-01-01T00:00", "sale must end after"),
    ):
        given = {**EVENT, "on_sale_from": "2026-02-01T00:00", field: value}
        answer = organiser.post("/events/new", **given)
        assert answer.status_code == 422, field
        assert words in error_at(answer.text, field)
        assert "Halle 3" in answer.text, "what was typed is lost"


def test_a_time_that_comes_twice_stays_which_it_was(house: House, organiser: Person) -> None:
    uid = make_event(organiser, starts_at="2027-10-31T02:30", ends_at="2027-10-31T18:00")
    first = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert event_of(house, uid).starts_at == first
    with house.database.tenant_session(house.tenant.id) as session:
        session.execute(update(Event).values(starts_at=first + timedelta(hours=1)))
        session.commit()
    fields = {**EVENT, "starts_at": "2027-10-31T02:30", "ends_at": "2027-10-31T18:00"}
    saved = organiser.post(f"/events/{uid}/edit", **{**fields, "title": "Other"})
    assert saved.status_code == 303
    assert event_of(house, uid).starts_at == first + timedelta(hours=1)


def test_what_was_sold_stays(house: House, organiser: Person) -> None:
    uid = make_event(organiser, capacity="50")
    make_kind(organiser, uid)
    kind = kinds_of(house, uid)[0]
    sell(house, kind, sold=4, held=2)
    page = f"/ticket-types/{kind.uid}"
    fewer = organiser.post(page, **{**KIND, "quota": "5"})
    assert error_at(fewer.text, "quota") == (
        "4 are sold and 2 set aside, so there cannot be fewer."
    )
    posted = organiser.post(page, **KIND, is_shipped="yes")
    assert "how they arrive stays" in error_at(posted.text, "is_shipped")
    smaller = organiser.post(f"/events/{uid}/edit", **EVENT, capacity="5")
    assert "6 tickets are sold or set aside" in error_at(smaller.text, "capacity")
    assert organiser.post(page, **{**KIND, "price": "130", "quota": "6"}).status_code == 303
    assert (kinds_of(house, uid)[0].price_minor, kinds_of(house, uid)[0].quota) == (13_000, 6)


def test_the_currency_stays_once_prices_or_orders_lean_on_it(
    house: House, organiser: Person
) -> None:
    uid = make_event(organiser)
    make_kind(organiser, uid)
    answer = organiser.post(f"/events/{uid}/edit", **{**EVENT, "currency": "JPY"})
    assert "has other decimals" in error_at(answer.text, "currency")
    assert organiser.post(f"/events/{uid}/edit", **{**EVENT, "currency": "CHF"}).status_code == 303
    assert organiser.post(f"/events/{uid}/publish").status_code == 303
    buy(house, uid, kinds_of(house, uid)[0].id)
    answer = organiser.post(f"/events/{uid}/edit", **EVENT)
    assert error_at(answer.text, "currency") == (
        "Tickets were ordered in CHF, so the currency stays."
    )
    moved = organiser.post(f"/events/{uid}/edit", **{**EVENT, "currency": "CHF"}, slug="other")
    assert "links to it stay" in moved.text


def test_a_price_is_one_that_a_card_can_move(house: House, organiser: Person) -> None:
    """KWD goes by tens of its thousandths (docs.stripe.com/currencies), IQD by one."""
    uid = make_event(organiser)
    iraqi, kuwaiti = {**EVENT, "currency": "IQD"}, {**EVENT, "currency": "KWD"}
    assert organiser.post(f"/events/{uid}/edit", **iraqi).status_code == 303
    make_kind(organiser, uid, price="12.345")
    answer = organiser.post(f"/events/{uid}/edit", **kuwaiti)
    assert "whose last digit is 0" in error_at(answer.text, "currency")
    page = f"/ticket-types/{kinds_of(house, uid)[0].uid}"
    assert organiser.post(page, **{**KIND, "price": "12.340"}).status_code == 303
    assert organiser.post(f"/events/{uid}/edit", **kuwaiti).status_code == 303
    answer = organiser.post(page, **{**KIND, "price": "12.345"})
    assert "whose last digit is 0" in error_at(answer.text, "price")
    assert kinds_of(house, uid)[0].price_minor == 12_340


def buy(house: House, uid: str, kind: int, number: int = 1, **fields: str) -> int:
    """Order tickets at the box office; return the answer's status."""
    path = f"/t/{house.tenant.slug}/{event_of(house, uid).slug}"
    buyer = house.web.anybody()
    names = {f"name{kind}-{place}": "Ada Arden" for place in range(1, number + 1)}
    key = f"key-{kind}-{number}-{len(fields)}-and-more"
    given = {"client_key": key, "name": "Bea", "email": "bea@example.org", "method": "pm_card_visa"}
    answer = buyer.post(path, **given, **{f"n{kind}": str(number)}, **names, **fields)
    return answer.status_code


def test_kinds_are_sold_within_their_window_and_the_events_places(
    house: House, organiser: Person
) -> None:
    now = house.clock.now()
    uid = make_event(
        organiser, capacity="3", starts_at=f"{now + timedelta(days=30):%Y-%m-%dT%H:%M}",
        ends_at=f"{now + timedelta(days=31):%Y-%m-%dT%H:%M}",
    )  # fmt: skip
    make_kind(organiser, uid)
    tomorrow = f"{now + timedelta(days=1):%Y-%m-%dT%H:%M}"
    make_kind(organiser, uid, name="Later", on_sale_from=tomorrow)
    make_kind(organiser, uid, name="Secret", is_hidden="yes")
    organiser.post(f"/events/{uid}/publish")
    regular, later, secret = kinds_of(house, uid)
    path = f"/t/{house.tenant.slug}/{event_of(house, uid).slug}"
    box = house.web.anybody().page(path)
    assert "on sale from" in box
    assert "Secret" not in box
    assert "Secret" in house.web.anybody().page(f"{path}?ticket={secret.uid}")
    assert buy(house, uid, later.id) == 422, "sold before its time"
    assert buy(house, uid, secret.id) == 422, "sold without its link"
    assert buy(house, uid, secret.id, ticket=secret.uid) == 303
    assert buy(house, uid, regular.id, 3) == 422, "more than the event has places"
    assert buy(house, uid, regular.id, 2) == 303
    organiser.post(f"/ticket-types/{regular.uid}/close")
    assert "Regular" not in house.web.anybody().page(path)


def test_kinds_are_sorted_closed_and_opened(house: House, organiser: Person) -> None:
    uid = make_event(organiser)
    for name in ("One", "Two", "Three"):
        make_kind(organiser, uid, name=name)
    one, two, three = kinds_of(house, uid)
    organiser.post(f"/ticket-types/{three.uid}/move", where="up")
    organiser.post(f"/ticket-types/{one.uid}/move", where="up")
    assert [kind.name for kind in kinds_of(house, uid)] == ["One", "Three", "Two"]
    again = organiser.post(f"/events/{uid}/tickets/new", **{**KIND, "name": " Two "})
    assert "kind of this name already" in error_at(again.text, "name")
    organiser.post(f"/ticket-types/{two.uid}/close")
    twice = organiser.post(f"/ticket-types/{two.uid}/close")
    assert "closed already" in organiser.page(twice.location)
    organiser.post(f"/ticket-types/{two.uid}/reopen")
    assert all(kind.closed_at is None for kind in kinds_of(house, uid))


def test_a_calendar_is_told_that_an_event_was_changed(house: House, organiser: Person) -> None:
    uid = make_event(organiser)
    organiser.post(f"/events/{uid}/edit", **EVENT)
    assert event_of(house, uid).version == 1
    organiser.post(f"/events/{uid}/edit", **EVENT | {"place": "Halle 4"})
    assert event_of(house, uid).version == 2


def test_a_cancelled_event_is_left_as_it_is(house: House, organiser: Person) -> None:
    uid = make_event(organiser)
    make_kind(organiser, uid)
    with house.database.tenant_session(house.tenant.id) as session:
        session.execute(update(Event).values(status="cancelled"))
        session.commit()
    answer = organiser.post(f"/events/{uid}/edit", **EVENT)
    assert answer.status_code == 409
    assert "cannot be changed any more" in answer.text
    assert organiser.post(f"/events/{uid}/tickets/new", **KIND).status_code == 409


def test_a_viewer_sees_the_tickets_and_no_button(house: House, organiser: Person) -> None:
    uid = make_event(organiser)
    make_kind(organiser, uid)
    page = house.web.person(house.tenant, "viewer").page(f"/events/{uid}/tickets")
    assert "Regular" in page
    assert "New ticket type" not in page
    assert "/close" not in page
