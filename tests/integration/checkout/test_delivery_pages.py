"""Administrators set the warehouse and the postage; orders use what they set."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.audit.models import AuditEntry
from meet2be.checkout.errors import NoPostage
from meet2be.checkout.shipping import postage, postage_of
from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from support.house import House, housed

SHED = {"name": "Shed", "street": "Side 1", "postcode": "10115", "city": "Berlin", "country": "de"}


@pytest.fixture
def house(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[House]:
    with housed(sqlite_database, clock, tmp_path) as made:
        yield made


def test_postage_is_set_and_counts(house: House) -> None:
    page = "/settings/postage"
    assert "no prices yet" in house.admin.page(page)
    rows = {
        "countries-0": "*", "most-0": "20", "price-0": "8,90",
        "countries-2": "de, at", "most-2": "10", "price-2": "3.90",
    }  # fmt: skip
    assert house.admin.post(page, **rows).status_code == 303
    settings = house.fresh_tenant().settings
    assert [postage(settings, n, to) for n, to in ((2, "AT"), (11, "DE"), (1, "FR"))] == [
        390, 890, 890,
    ]  # fmt: skip
    shown = house.admin.page(page)
    assert shown.index("DE AT") < shown.index('value="*"')
    assert 'value="3.90"' in shown
    german = house.web.person(house.tenant, locale="de-DE")
    assert 'value="3,90"' in german.page(page), "as a German reader would type it"
    assert house.admin.post(page, **{"countries-0": "CH", "price-0": "5"}).status_code == 303
    with pytest.raises(NoPostage):
        postage(house.fresh_tenant().settings, 1, "FR")
    assert house.admin.post(page).status_code == 303
    assert postage(house.fresh_tenant().settings, 1, "FR") == 0
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        actions = list(session.scalars(select(AuditEntry.action)))
    assert actions.count("tenant.postage_changed") == 3


def test_a_row_that_cannot_be_is_told_at_its_field(house: House) -> None:
    good = {"countries-0": "DE", "most-0": "5", "price-0": "4"}
    for field, value, words in (
        ("countries-1", "Germany", "is no country"),
        ("countries-1", "* FR", "Everywhere stands alone"),
        ("countries-1", "", "Name countries"),
        ("countries-1", "DE", "has a row for 5 tickets already"),
        ("most-1", "99", "from 1 to 20 tickets"),
        ("most-1", "many", "no whole number"),
        ("price-1", "cheap", "is no amount"),
    ):
        row = {"countries-1": "FR", "most-1": "5", "price-1": "9", field: value}
        answer = house.admin.post("/settings/postage", **good, **row)
        assert answer.status_code == 422, value
        assert words in answer.text, value
        assert f'id="{field}-problem"' in answer.text, value
    assert house.fresh_tenant().settings == {}


def test_the_warehouse_is_set_checked_and_taken_away(house: House) -> None:
    page = "/settings/warehouse"
    for fields, words in (
        ({"url": "http://shed.example/x"}, 'id="url-problem"'),
        ({"url": "https://127.0.0.1/x"}, 'id="url-problem"'),
        ({"name": "Shed"}, "the whole address, or nothing"),
        ({**SHED, "country": "D1"}, "is no country"),
    ):
        answer = house.admin.post(page, **fields)
        assert answer.status_code == 422, fields
        assert words in answer.text, fields
    url = "https://93.184.215.14/orders?key=7"
    assert house.admin.post(page, url=url, **SHED).status_code == 303
    settings = house.fresh_tenant().settings
    assert settings["warehouse_url"] == url
    assert settings["warehouse_address"]["country"] == "DE"
    assert "Side 1" in house.admin.page(page)
    assert house.admin.post(page).status_code == 303
    assert house.fresh_tenant().settings == {}


def test_the_settings_lead_to_templates_suppressions_and_webhooks(house: House) -> None:
    page = house.admin.page("/settings")
    for address in ("/mail/templates", "/mail/suppressions", "/webhooks"):
        assert f'<a href="{address}">' in page


@pytest.mark.parametrize(("currency", "charged"), [("EUR", 490), ("JPY", 5), ("KWD", 4_900)])
def test_postage_counts_with_the_same_figures_in_an_events_currency(
    house: House, currency: str, charged: int
) -> None:
    row = {"countries-0": "*", "most-0": "20", "price-0": "4.90"}
    assert house.admin.post("/settings/postage", **row).status_code == 303
    assert postage_of(house.fresh_tenant(), currency, 1, "DE") == charged
