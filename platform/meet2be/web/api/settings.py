"""The organisation's settings: what it says of itself, its warehouse and its postage."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field
from sqlalchemy import select

from meet2be.checkout import delivery
from meet2be.checkout.desk import MOST_TICKETS
from meet2be.objects.base import Told, Uid
from meet2be.organisations import details
from meet2be.programme import testing
from meet2be.tenancy.models import Tenant
from meet2be.tenancy.services import in_test_mode
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.schemas import Given, Text


class SettingsTold(Told):
    """What an organisation says of itself; the limit in minor units of its currency."""

    uid: Uid
    slug: str
    name: str
    locale: str
    timezone: str
    currency: str
    confirm_limit_minor: int
    reply_to: str | None


class SettingsChange(Given):
    """What of the settings changes; what is left out stays."""

    name: Annotated[Text, Field(max_length=200)] = ""
    locale: Annotated[Text, Field(max_length=16, examples=["de-DE"])] = ""
    timezone: Annotated[Text, Field(max_length=64)] = ""
    currency: Annotated[Text, Field(max_length=3)] = ""
    confirm_limit_minor: int = Field(0, ge=0, le=10**15)
    reply_to: Annotated[Text, Field(max_length=320)] | None = None


class TestModeTold(Told):
    """Whether all that the organisation begins is a test."""

    on: bool


class TestModeWish(Given):
    """Whether it shall be."""

    on: bool


class AddressTold(Told):
    """A postal address; empty where nothing is said."""

    name: str
    street: str
    postcode: str
    city: str
    country: str


class AddressGiven(Given):
    """A postal address: all of it, the country by its two letters."""

    name: Annotated[Text, Field(max_length=200)]
    street: Annotated[Text, Field(max_length=200)]
    postcode: Annotated[Text, Field(max_length=200)]
    city: Annotated[Text, Field(max_length=200)]
    country: Annotated[Text, Field(min_length=2, max_length=2)]


class WarehouseTold(Told):
    """Where paid orders are told of, and from where parcels come."""

    url: str
    address: AddressTold


class WarehouseWish(Given):
    """The warehouse as it shall be; without an address of its system nobody is told."""

    url: Annotated[Text, Field(max_length=2000)] = ""
    address: AddressGiven | None = None


class RateTold(Told):
    """What parcels of up to so many tickets cost where; `*` is everywhere else."""

    countries: list[str]
    most_tickets: int
    price_minor: int


class RateGiven(Given):
    """What parcels of up to so many tickets cost where; `*` is everywhere else."""

    countries: list[Annotated[Text, Field(max_length=2)]] = Field(min_length=1, max_length=250)
    most_tickets: int = Field(MOST_TICKETS, ge=1, le=MOST_TICKETS)
    price_minor: int = Field(ge=0, le=delivery.HIGHEST_PRICE)


class PostageTold(Told):
    """All rows, in the order in which they count: the first that fits."""

    data: list[RateTold]


class PostageWish(Given):
    """All rows as they shall be; none: nothing is charged."""

    data: list[RateGiven] = Field(max_length=delivery.MOST_RATES)


@operation("GET", "/settings", "settings:read")
def get_settings(call: Call) -> SettingsTold:
    """Give what the organisation says of itself."""
    return SettingsTold.model_validate(call.reading.scalars(select(Tenant)).one())


@operation("PATCH", "/settings", "settings:write")
def change_settings(call: Call, body: SettingsChange) -> SettingsTold:
    """Change it; each person chooses the language of their pages themselves."""
    tenant = call.writing.scalars(select(Tenant).with_for_update()).one()
    named = {name: getattr(body, name) for name in body.model_fields_set}
    details.change(call.writing, replace(details.profile_of(tenant), **named), call.actor)
    call.writing.flush()
    return SettingsTold.model_validate(tenant)


@operation("GET", "/settings/test-mode", "settings:read")
def get_test_mode(call: Call) -> TestModeTold:
    """Tell whether all that the organisation begins is a test."""
    return TestModeTold(on=in_test_mode(call.reading.scalars(select(Tenant)).one()))


@operation("PUT", "/settings/test-mode", "settings:write", problems=("conflict",))
def switch_test_mode(call: Call, body: TestModeWish) -> TestModeTold:
    """Begin or end the test mode; an event that is real and not over is in its way."""
    testing.switch_test_mode(call.writing, call.actor, on=body.on)
    return TestModeTold(on=body.on)


@operation("GET", "/settings/warehouse", "settings:read")
def get_warehouse(call: Call) -> WarehouseTold:
    """Give where orders are told of, and from where parcels come."""
    return _warehouse(call.reading.scalars(select(Tenant)).one())


@operation("PUT", "/settings/warehouse", "settings:write")
def change_warehouse(call: Call, body: WarehouseWish) -> WarehouseTold:
    """Set both."""
    address = {} if body.address is None else body.address.model_dump()
    hooks = call.services.webhooks.http
    wanted = delivery.Warehouse(body.url, address)
    delivery.change_warehouse(call.writing, wanted, call.actor, lambda text: hooks.check(text).url)
    return _warehouse(call.writing.scalars(select(Tenant)).one())


@operation("GET", "/settings/postage", "settings:read")
def get_postage(call: Call) -> PostageTold:
    """Give what printed tickets cost to send."""
    return _postage(delivery.rates_of(call.reading.scalars(select(Tenant)).one()))


@operation("PUT", "/settings/postage", "settings:write")
def change_postage(call: Call, body: PostageWish) -> PostageTold:
    """Set it, for orders to come."""
    wanted = [
        delivery.Rate(tuple(rate.countries), rate.most_tickets, rate.price_minor)
        for rate in body.data
    ]
    return _postage(delivery.change_postage(call.writing, wanted, call.actor))


def _warehouse(tenant: Tenant) -> WarehouseTold:
    known = delivery.warehouse_of(tenant)
    return WarehouseTold(url=known.url, address=AddressTold(**known.address))


def _postage(rates: list[delivery.Rate]) -> PostageTold:
    told = [
        RateTold(
            countries=list(rate.countries),
            most_tickets=rate.most_tickets,
            price_minor=rate.price_minor,
        )
        for rate in rates
    ]
    return PostageTold(data=told)
