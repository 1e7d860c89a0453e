"""How much a tenant may have: defaults for everybody, and what operators gave to one of them.

What a limit counts stands beside it. Whoever makes such a thing calls `check_limit` before it; what
is used is always counted from rows, so no counter can drift from the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.errors import Meet2BeError
from meet2be.language import N_, Message
from meet2be.tenancy.models import Tenant

SETTING: Final = "limits"
HIGHEST: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: what it counts, and how much everybody has to whom nobody gave more or less."""

    key: str
    words: str
    hint: str
    usual: int


_LIMITS: Final = (
    Limit("members", N_("Members"), N_("People of the organisation, with open invitations."), 100),
    Limit("events", N_("Events"), N_("All that are not archived."), 500),
    Limit("export_rows", N_("Exported rows"), N_("In the last 30 days."), 20_000_000),
    Limit("mails_a_day", N_("E-mails a day"), N_("Sent, or tried, in the last 24 hours."), 100_000),
    Limit("webhook_endpoints", N_("Webhooks"), N_("Addresses that are not deleted."), 50),
)
LIMITS: Final[Mapping[str, Limit]] = {limit.key: limit for limit in _LIMITS}


class LimitReached(Meet2BeError):
    """The organisation has as much of something as it may."""

    def __init__(self, limit: Limit, most: int) -> None:
        self.key, self.most = limit.key, most
        self.message = _reached(limit, most)
        super().__init__(self.message)


def _reached(limit: Limit, most: int) -> Message:
    return Message(
        "Your organisation's limit is reached (%(what)s: %(most)s). "
        "Ask the platform's operators for more",
        {"what": Message(limit.words), "most": f"{most:,}"},
    )


def limit_of(session: Session, key: str) -> int:
    """Return the limit of the session's tenant."""
    return limits_in(session.scalars(select(Tenant)).one())[key]


def limits_in(tenant: Tenant) -> dict[str, int]:
    """Return all limits of a tenant by their keys."""
    own = tenant.settings.get(SETTING, {})
    return {key: int(own.get(key, limit.usual)) for key, limit in LIMITS.items()}


def hold_limits(session: Session) -> None:
    """Let nobody else take of the session's tenant's limits until the commit.

    Call it before counting: of two that want the last one, the second then counts the first. What
    only refers to the tenant goes on meanwhile.
    """
    session.execute(select(Tenant.id).with_for_update(key_share=True))


def check_limit(session: Session, key: str, used: int, more: int = 1) -> None:
    """Raise ``LimitReached`` when ``more`` cannot be had beside what is ``used``."""
    most = limit_of(session, key)
    if used + more > most:
        raise LimitReached(LIMITS[key], most)


def set_limits(tenant: Tenant, wanted: Mapping[str, int]) -> dict[str, int]:
    """Give a tenant limits of its own and return what changed; the usual ones are not kept."""
    before = limits_in(tenant)
    own = {
        key: min(max(0, number), HIGHEST)
        for key, number in {**before, **wanted}.items()
        if key in LIMITS and number != LIMITS[key].usual
    }
    tenant.settings = {**tenant.settings, SETTING: own}
    return {key: number for key, number in limits_in(tenant).items() if number != before[key]}
