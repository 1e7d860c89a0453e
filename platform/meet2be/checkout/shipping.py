"""Postage and parcels: a small table of rates for each organisation, and a seam for carriers.

Rates stand in the tenant's settings under `shipping_rates`, the first that fits counts::

    [{"countries": ["DE"], "most_tickets": 10, "price_minor": 390},
     {"countries": ["*"], "most_tickets": 20, "price_minor": 890}]

Without rates nothing is charged. The one carrier that is built in, `own_post`, numbers parcels and
writes a label for the organisation's own envelope; it asks nobody and carries nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from meet2be.checkout.errors import NoPostage
from meet2be.money import same_figures
from meet2be.tenancy.models import Tenant

RATES = "shipping_rates"
ADDRESS_FIELDS = ("name", "street", "postcode", "city", "country")


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent where: `number` of tickets, for the order named by `code`."""

    code: str
    number: int
    address: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Label:
    """A carrier's answer: the parcel's number and the lines of its label."""

    parcel_no: str
    lines: tuple[str, ...]


class Carrier(Protocol):
    """Whoever takes parcels. The same key makes the same parcel, however often it is asked."""

    @property
    def name(self) -> str:
        """How shipments name it."""
        ...

    def label(self, parcel: Parcel, key: str) -> Label:
        """Return the parcel's label."""
        ...


class OwnPost:
    """The organisation's own post: numbers the parcel after the order and addresses it."""

    name = "own_post"

    def label(self, parcel: Parcel, key: str) -> Label:
        """Return the label; the number is made from the order's code and a check digit."""
        checked = sum(key.encode()) % 97
        there = parcel.address
        lines = (
            there.get("name", ""),
            there.get("street", ""),
            f"{there.get('postcode', '')} {there.get('city', '')}".strip(),
            there.get("country", ""),
        )
        return Label(f"OP-{parcel.code}-{checked:02d}", tuple(line for line in lines if line))


def postage_of(tenant: Tenant, currency: str, tickets: int, country: str) -> int:
    """Return what shipping costs in an event's currency, in minor units; raises ``NoPostage``.

    The rates stand in the organisation's currency; of an event in another one the same figures
    count, rounded to what that currency has: 4.90 EUR are 4.90 USD, 5 JPY and 4.900 KWD.
    """
    return same_figures(postage(tenant.settings, tickets, country), tenant.currency, currency)


def postage(settings: Mapping[str, Any], tickets: int, country: str) -> int:
    """Return what shipping so many tickets costs, in minor units; raises ``NoPostage``."""
    rates: Sequence[Mapping[str, Any]] = settings.get(RATES) or ()
    if not tickets or not rates:
        return 0
    for rate in rates:
        countries = rate.get("countries") or ("*",)
        fits = country in countries or "*" in countries
        if fits and tickets <= int(rate.get("most_tickets") or tickets):
            return int(rate["price_minor"])
    raise NoPostage(country)
