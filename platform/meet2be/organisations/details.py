"""What an organisation says about itself: name, language, time zone, currency, confirmation.

In the tenant's own session; the caller commits.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Final

from babel import Locale, UnknownLocaleError
from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.accounts.own import zones
from meet2be.audit.services import Actor, record
from meet2be.errors import Meet2BeError
from meet2be.language import LANGUAGES, Message
from meet2be.mailings.addresses import one_address
from meet2be.mailings.errors import BadAddress
from meet2be.money import MoneyError, check_payable, not_payable
from meet2be.plain_text import one_line
from meet2be.tenancy.models import Tenant

LONGEST_NAME: Final = 200
SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,38}[a-z0-9])")
COMMON_CURRENCIES: Final = (
    "EUR", "CHF", "GBP", "USD", "DKK", "NOK", "SEK", "PLN", "CZK", "HUF", "CAD", "AUD", "JPY",
)  # fmt: skip


class ProfileRefused(Meet2BeError):
    """A field of an organisation that cannot be; ``field`` is its name in forms."""

    def __init__(self, field: str, why: Message) -> None:
        self.field = field
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Profile:
    """The settings of an organisation; ``confirm_limit_minor`` in minor units of ``currency``."""

    name: str
    locale: str
    timezone: str
    currency: str
    confirm_limit_minor: int
    reply_to: str | None


def profile_of(tenant: Tenant) -> Profile:
    """Return a tenant's present settings."""
    return Profile(
        tenant.name,
        tenant.locale,
        tenant.timezone,
        tenant.currency,
        tenant.confirm_limit_minor,
        tenant.reply_to,
    )


def change(session: Session, wanted: Profile, actor: Actor) -> dict[str, object]:
    """Save the settings and return what changed; raises ``ProfileRefused``."""
    tenant = session.scalars(select(Tenant).with_for_update()).one()
    wanted = checked(wanted, tenant.currency)
    before, after = asdict(profile_of(tenant)), asdict(wanted)
    changed = {name: value for name, value in after.items() if before[name] != value}
    for name, value in changed.items():
        setattr(tenant, name, value)
    if changed:
        record(
            session, actor, "tenant.changed", "tenant", tenant.uid,
            before={name: before[name] for name in changed}, after=changed,
        )  # fmt: skip
    return changed


def checked(wanted: Profile, present: str = "") -> Profile:
    """Return settings in their normal form; raises ``ProfileRefused``.

    A currency that is no money any more is let be where it is the ``present`` one.
    """
    name = one_line(wanted.name)
    if not 0 < len(name) <= LONGEST_NAME:
        raise ProfileRefused("name", Message("An organisation needs a name"))
    locale = _locale(wanted.locale)
    if wanted.timezone not in zones():
        raise ProfileRefused("timezone", Message("Choose a time zone of the list"))
    try:
        check_payable(wanted.currency)
    except MoneyError as error:
        if wanted.currency != present:
            raise ProfileRefused("currency", not_payable(wanted.currency)) from error
    if wanted.confirm_limit_minor < 0:
        raise ProfileRefused("confirm_limit", Message("The amount cannot be below zero"))
    return Profile(
        name,
        locale,
        wanted.timezone,
        wanted.currency,
        wanted.confirm_limit_minor,
        _address("reply_to", wanted.reply_to),
    )


def _locale(text: str) -> str:
    """Return a language, with or without a country, as it is written in HTML: ``de-AT``."""
    why = Message("Choose a language of the list")
    try:
        known = Locale.parse(text.replace("_", "-"), sep="-")
    except (ValueError, UnknownLocaleError) as error:
        raise ProfileRefused("language", why) from error
    if known.language not in LANGUAGES:
        raise ProfileRefused("language", why)
    return known.language if known.territory is None else f"{known.language}-{known.territory}"


def _address(field: str, text: str | None) -> str | None:
    if not text or not text.strip():
        return None
    try:
        return one_address(text)
    except BadAddress as error:
        raise ProfileRefused(field, Message("This is not one e-mail address")) from error
