"""Whole objects go only where a token sends them that may read them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from meet2be.api_tokens.scopes import SCOPES, is_within
from meet2be.db import Database
from meet2be.objects.all import KINDS
from meet2be.web.api.whole_objects import SCOPE_OF
from meet2be.webhooks import endpoints
from meet2be.webhooks.bodies import canonical
from meet2be.webhooks.endpoints import Address, Workbench
from meet2be.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from meet2be.webhooks.publishing import publish
from meet2be.webhooks.spreading import spread
from onqueue.testing.clock import FakeClock
from support.api import Program, program
from support.hooks import announce_and_spread, announcement, deliveries_of, make_endpoint
from support.house import House, housed

HOOKS = ("webhooks:read", "webhooks:write")
ORDERS = (*HOOKS, "orders:read")
URL = "https://8.8.8.8/hook"


@pytest.fixture
def house(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[House]:
    with housed(sqlite_database, clock, tmp_path) as made:
        yield made


@pytest.fixture
def thin(house: House) -> Program:
    return program(house.web, house.tenant, scopes=HOOKS)


@pytest.fixture
def reader(house: House) -> Program:
    return program(house.web, house.tenant, scopes=ORDERS)


def wish(**fields: Any) -> dict[str, Any]:
    return {"url": URL, "event_types": ["order.paid"], "full_data": True, **fields}


def whole_delivery(
    house: House, status: str = "failed", *, has_object: bool | None = True, **endpoint: Any
) -> WebhookDelivery:
    """Return a delivery whose body holds an order."""
    database, tenant = house.web.services.database, house.tenant.id
    make_endpoint(database, tenant, url=URL, **endpoint)
    order = announcement(type="order.paid", subject_type="order", subject_uid="0" * 26)
    (made,) = announce_and_spread(database, tenant, order)
    body = canonical({"id": "x", "object": {"email": "bea@example.org"}, "type": "order.paid"})
    with database.tenant_session(tenant) as session:
        session.execute(
            update(WebhookDelivery).values(body=body.decode(), has_object=has_object, status=status)
        )
        session.commit()
        return session.scalars(select(WebhookDelivery).where(WebhookDelivery.id == made.id)).one()


def missing(answer: Any) -> str:
    assert answer.status_code == 403, answer.text
    return str(answer.get_json()["scope"])


def test_each_kind_of_subject_has_a_scope_and_admins_may_have_it() -> None:
    assert set(SCOPE_OF) == set(KINDS)
    assert all(is_within("admin", SCOPES[scope].role) for scope in SCOPE_OF.values())


def test_an_endpoint_with_whole_objects_needs_the_scopes_that_read_them(
    thin: Program, reader: Program
) -> None:
    assert missing(thin.post("/webhook-endpoints", wish())) == "orders:read"
    assert reader.post("/webhook-endpoints", wish()).status_code == 201
    both = wish(event_types=["order.paid", "attendee.created"])
    assert missing(reader.post("/webhook-endpoints", both)) == "attendees:read"
    assert missing(reader.post("/webhook-endpoints", wish(event_types=None))) == "attendees:read"
    assert thin.post("/webhook-endpoints", wish(full_data=False)).status_code == 201


def test_neither_types_nor_address_of_such_an_endpoint_change_without_them(
    thin: Program, reader: Program
) -> None:
    place = f"/webhook-endpoints/{reader.post('/webhook-endpoints', wish()).get_json()['uid']}"
    elsewhere = wish(url="https://8.8.4.4/", full_data=None)
    for change in (elsewhere, wish(full_data=False)):
        assert missing(thin.ask("PUT", place, change)) == "orders:read"
    more = wish(full_data=None, event_types=["mail.bounced"])
    assert missing(reader.ask("PUT", place, more)) == "mails:read"
    assert reader.ask("PUT", place, elsewhere).status_code == 200
    assert reader.ask("PUT", place, wish(full_data=False)).status_code == 200
    assert missing(thin.ask("PUT", place, wish())) == "orders:read"


def test_a_body_is_shown_without_its_object_to_a_token_that_may_not_read_that(
    house: House, thin: Program, reader: Program
) -> None:
    place = f"/webhook-deliveries/{whole_delivery(house).uid}"
    assert thin.get(place)["body"] == '{"id":"x","type":"order.paid"}'
    assert "bea@example.org" in reader.get(place)["body"]


@pytest.mark.parametrize("has_object", [True, None])
def test_whole_bodies_are_sent_again_only_by_a_token_that_may_read_them(
    house: House, thin: Program, reader: Program, has_object: bool | None
) -> None:
    """None: of what a process of an earlier release wrote it is unknown."""
    made = whole_delivery(house, has_object=has_object)
    place = f"/webhook-deliveries/{made.uid}/replay"
    assert missing(thin.post(place)) == "orders:read"
    assert missing(thin.post("/webhook-deliveries/replay", {})) == "orders:read"
    other = {"type": "refund.succeeded"}
    assert thin.post("/webhook-deliveries/replay", other).status_code == 202
    assert reader.post("/webhook-deliveries/replay", {}).status_code == 202
    assert reader.post(place).status_code == 202


def test_whole_bodies_that_wait_are_not_led_to_another_address(
    house: House, thin: Program, reader: Program
) -> None:
    whole_delivery(house, "waiting")
    (endpoint,) = thin.get("/webhook-endpoints")["data"]
    place, thinner = f"/webhook-endpoints/{endpoint['uid']}", wish(full_data=False)
    assert thin.ask("PUT", place, thinner).status_code == 200
    there = {**thinner, "url": "https://8.8.4.4/"}
    assert missing(thin.ask("PUT", place, there)) == "orders:read"
    assert reader.ask("PUT", place, there).status_code == 200


@pytest.mark.parametrize(
    ("meanwhile", "scope"), [("full_data", "attendees:read"), ("a body", "orders:read")]
)
def test_what_changes_while_name_servers_are_asked_is_looked_at_again(
    house: House, thin: Program, monkeypatch: pytest.MonkeyPatch, meanwhile: str, scope: str
) -> None:
    """The first look is before the look-up, which nobody waits for under a lock."""
    made = whole_delivery(house, "succeeded")
    database, tenant = house.web.services.database, house.tenant.id
    (endpoint,) = thin.get("/webhook-endpoints")["data"]
    asked: list[str] = []

    def check(bench: Workbench, url: str) -> Address:
        asked.append(url)
        change: Any = update(WebhookDelivery).where(WebhookDelivery.id == made.id)
        change = change.values(status="waiting")
        if meanwhile == "full_data":
            change = update(WebhookEndpoint).values(full_data=True)
        with database.tenant_session(tenant) as session:
            session.execute(change.execution_options(synchronize_session=False))
            session.commit()
        return Address(url)

    monkeypatch.setattr(endpoints, "check_address", check)
    there = wish(url="https://8.8.4.4/", full_data=None)
    place = f"/webhook-endpoints/{endpoint['uid']}"
    assert missing(thin.ask("PUT", place, there)) == scope
    assert asked == ["https://8.8.4.4/"]
    assert thin.get(place)["url"] == URL


def test_an_object_of_a_type_that_nobody_knows_any_more_needs_all_scopes(
    house: House, reader: Program
) -> None:
    made = whole_delivery(house)
    database = house.web.services.database
    with database.tenant_session(house.tenant.id) as session:
        session.execute(
            update(WebhookDelivery)
            .values(type="bill.paid")
            .execution_options(synchronize_session=False)
        )
        session.commit()
    place = f"/webhook-deliveries/{made.uid}"
    assert "bea@example.org" not in reader.get(place)["body"]
    assert missing(reader.post(f"{place}/replay")) == "attendees:read"
    assert missing(reader.post("/webhook-deliveries/replay", {})) == "attendees:read"
    everything = program(house.web, house.tenant, scopes=(*HOOKS, *set(SCOPE_OF.values())))
    assert everything.post(f"{place}/replay").status_code == 202


def test_a_delivery_says_whether_its_body_bears_an_object_and_so_does_its_replay(
    house: House, reader: Program
) -> None:
    database, tenant = house.web.services.database, house.tenant.id
    for whole in (True, False):
        make_endpoint(database, tenant, url=URL, full_data=whole)
    with database.tenant_session(tenant) as session:
        for number in (1, 2):
            publish(session, announcement(number, type="order.paid", subject_type="order"))
        session.flush()
        first, second = session.scalars(select(WebhookEvent.id).order_by(WebhookEvent.id))
        spread(session, [first], lambda *_of: {"email": "bea@example.org"})
        spread(session, [second], lambda *_of: None)
        session.execute(update(WebhookDelivery).values(status="failed"))
        session.commit()
    made = deliveries_of(database, tenant)
    assert [each.has_object for each in made] == [True, False, False, False]
    assert reader.post(f"/webhook-deliveries/{made[0].uid}/replay").status_code == 202
    assert deliveries_of(database, tenant)[-1].has_object
