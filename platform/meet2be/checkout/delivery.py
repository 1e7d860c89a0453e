"""What an organisation says of its warehouse and its postage; orders read it from its settings.

In the tenant's own session; the caller commits. The steps `notify_warehouse` and
`calculate_shipping` read what is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from babel import Locale
from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.audit.services import Actor, record
from meet2be.checkout.desk import MOST_TICKETS
from meet2be.checkout.shipping import ADDRESS_FIELDS, RATES
from meet2be.checkout.warehouse import ADDRESS, URL
from meet2be.errors import Meet2BeError
from meet2be.language import Message
from meet2be.tenancy.models import Tenant

EVERYWHERE: Final = "*"
MOST_RATES: Final = 40
LONGEST_LINE: Final = 200
HIGHEST_PRICE: Final = 10**9
_TERRITORIES: Final = {
    code for code in map(str, Locale("en").territories) if len(code) == 2 and code.isalpha()
} - {"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"}
"""Codes of countries as ISO 3166-1 has them, of which CLDR knows the names."""


class DeliveryRefused(Meet2BeError):
    """A field that cannot be so; ``field`` is its name in the form."""

    def __init__(self, field: str, why: Message) -> None:
        """Keep which field it is."""
        self.field = field
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Rate:
    """What parcels of up to so many tickets cost where; the price in minor units."""

    countries: tuple[str, ...]
    most_tickets: int
    price_minor: int


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Where orders are told of, empty for nowhere, and from where parcels come."""

    url: str
    address: Mapping[str, str]


def warehouse_of(tenant: Tenant) -> Warehouse:
    """Return what an organisation says of its warehouse."""
    address = tenant.settings.get(ADDRESS) or {}
    told = {name: str(address.get(name) or "") for name in ADDRESS_FIELDS}
    return Warehouse(str(tenant.settings.get(URL) or ""), told)


def rates_of(tenant: Tenant) -> list[Rate]:
    """Return an organisation's postage, in the order in which it counts."""
    rows: Sequence[Mapping[str, Any]] = tenant.settings.get(RATES) or ()
    return [
        Rate(
            tuple(row.get("countries") or (EVERYWHERE,)),
            int(row.get("most_tickets") or MOST_TICKETS),
            int(row["price_minor"]),
        )
        for row in rows
    ]


def change_warehouse(
    session: Session, wanted: Warehouse, actor: Actor, check: Callable[[str], str]
) -> None:
    """Save the warehouse; raises ``DeliveryRefused``.

    ``check`` returns the one form of an address that may be called; raises ``Meet2BeError``.
    """
    url = wanted.url.strip()
    if url:
        try:
            url = check(url)
        except Meet2BeError as error:
            why = error.args[0] if isinstance(error.args[0], Message) else Message(str(error))
            raise DeliveryRefused("url", why) from error
    address = {name: _line(name, wanted.address.get(name, "")) for name in ADDRESS_FIELDS}
    address["country"] = address["country"].upper()
    if any(address.values()):
        for name in ADDRESS_FIELDS:
            if not address[name]:
                why = Message("Fill in the whole address, or nothing of it.")
                raise DeliveryRefused(name, why)
        _check_country("country", address["country"])
    given = {URL: url, ADDRESS: address if any(address.values()) else None}
    _save(session, actor, "tenant.warehouse_changed", given)


def change_postage(session: Session, wanted: Sequence[Rate], actor: Actor) -> list[Rate]:
    """Save the postage and return it sorted: a country before everywhere, few tickets before many.

    An empty list: nothing is charged, and parcels go everywhere. Raises ``DeliveryRefused``, whose
    field ends in the row's number, counted from 0.
    """
    if len(wanted) > MOST_RATES:
        raise DeliveryRefused("rates", Message("There are at most %(most)s rows.",
                                               {"most": MOST_RATES}))  # fmt: skip
    seen: set[tuple[str, int]] = set()
    for number, rate in enumerate(wanted):
        _check_rate(number, rate, seen)
    by = sorted(wanted, key=lambda rate: (EVERYWHERE in rate.countries, rate.most_tickets))
    rows = [{**asdict(rate), "countries": list(rate.countries)} for rate in by]
    _save(session, actor, "tenant.postage_changed", {RATES: rows})
    return by


def _check_rate(number: int, rate: Rate, seen: set[tuple[str, int]]) -> None:
    where = f"countries-{number}"
    if not rate.countries:
        raise DeliveryRefused(where, Message("Name countries, or * for everywhere."))
    if EVERYWHERE in rate.countries and len(rate.countries) > 1:
        why = Message("Everywhere stands alone: leave the countries out, or the *.")
        raise DeliveryRefused(where, why)
    for country in rate.countries:
        if country != EVERYWHERE:
            _check_country(where, country)
        if (country, rate.most_tickets) in seen:
            why = Message(
                "%(country)s has a row for %(number)s ticket already.", {"country": country},
                "%(country)s has a row for %(number)s tickets already.", rate.most_tickets,
            )  # fmt: skip
            raise DeliveryRefused(where, why)
        seen.add((country, rate.most_tickets))
    if not 0 < rate.most_tickets <= MOST_TICKETS:
        why = Message("An order has from 1 to %(most)s tickets.", {"most": MOST_TICKETS})
        raise DeliveryRefused(f"most-{number}", why)
    if not 0 <= rate.price_minor <= HIGHEST_PRICE:
        raise DeliveryRefused(f"price-{number}", Message("Give a price from 0 on."))


def _check_country(field: str, code: str) -> None:
    if code not in _TERRITORIES:
        values = {"code": code[:20]}
        why = Message("“%(code)s” is no country. Use two letters, such as DE, AT or CH.", values)
        raise DeliveryRefused(field, why)


def _line(field: str, text: str) -> str:
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    if len(line) > LONGEST_LINE:
        why = Message("This is longer than %(most)s characters.", {"most": LONGEST_LINE})
        raise DeliveryRefused(field, why)
    return line


def _save(session: Session, actor: Actor, action: str, given: Mapping[str, Any]) -> None:
    tenant = session.scalars(select(Tenant).with_for_update()).one()
    before = {name: tenant.settings.get(name) for name in given}
    after = {name: value or None for name, value in given.items()}
    if {name: value or None for name, value in before.items()} == after:
        return
    kept = {name: value for name, value in tenant.settings.items() if name not in given}
    tenant.settings = {**kept, **{name: value for name, value in after.items() if value}}
    record(session, actor, action, "tenant", tenant.uid, before=before, after=after)
