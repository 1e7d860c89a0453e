"""The dry run of a cancellation: the same selection and arithmetic, and not one write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.planning import PlannedItem, Rules, plan
from meet2be.cancellations.postage import postage_of
from meet2be.cancellations.sources import lines_of
from meet2be.cancellations.summing import totals_of
from meet2be.cancellations.totals import Totals
from meet2be.events.models import Event
from meet2be.language import NC_, Message, in_sense
from meet2be.payments.errors import ProviderUnavailable
from meet2be.payments.provider import PaymentProvider

# How the outcomes are called where a preview is compared with another.
OUTCOMES = (
    NC_("outcome", "refund"), NC_("outcome", "manual"), NC_("outcome", "disputed"),
    NC_("outcome", "not_paid"), NC_("outcome", "already_refunded"), NC_("outcome", "fee_kept"),
    NC_("outcome", "free"), NC_("outcome", "no_invoice"), NC_("outcome", "test_mode"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen; sums are minor units by currency.

    `postage_minor` goes back beside `refund_minor`; `funds` is what the provider has available by
    currency, None when it could not be asked.
    """

    hash: str
    made_at: datetime
    attendees: int
    outcomes: dict[str, int]
    refund_minor: dict[str, int]
    manual_minor: dict[str, int]
    kept_minor: dict[str, int]
    payments: int
    checked_in: int
    without_email: int
    accounts: list[str] = field(default_factory=list)
    postage_minor: dict[str, int] = field(default_factory=dict)
    funds: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "made_at": self.made_at.isoformat()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Preview:
        """Return the preview stored with a run; what a later release keeps more is left out."""
        known = {name: data[name] for name in cls.__slots__ if name in data}
        return cls(**{**known, "made_at": datetime.fromisoformat(data["made_at"])})

    @property
    def sent_minor(self) -> dict[str, int]:
        """Return by currency all that goes back through the provider, postage too."""
        found = Counter(self.refund_minor)
        found.update(self.postage_minor)
        return {currency: amount for currency, amount in found.items() if amount}

    @property
    def short_of(self) -> dict[str, int]:
        """Return by currency what the provider's balance lacks; empty when it suffices."""
        if self.funds is None:
            return {}
        missing = {
            currency: amount - self.funds.get(currency, 0)
            for currency, amount in self.sent_minor.items()
        }
        return {currency: amount for currency, amount in missing.items() if amount > 0}


def planned_items(session: Session, event: Event, options: CancelOptions) -> Iterator[PlannedItem]:
    """Yield what would be done for each attendee: the preview's list, streamed."""
    return plan(lines_of(session, event.id), rules_of(event, options))


def rules_of(event: Event, options: CancelOptions) -> Rules:
    """Return what a plan of the event follows."""
    return Rules(options, event.currency, event.test_mode)


def compute(
    session: Session,
    event: Event,
    options: CancelOptions,
    now: datetime,
    provider: PaymentProvider | None = None,
) -> Preview:
    """Return the preview; reads only. Without `provider` the balance stays unknown."""
    totals = totals_of(session, event.id, rules_of(event, options))
    funds = _funds(provider, totals, test_mode=event.test_mode)
    return replace(
        from_totals(totals, now, funds), postage_minor=postage_of(session, event, options)
    )


def from_totals(totals: Totals, now: datetime, funds: dict[str, int] | None) -> Preview:
    """Return the preview of a plan that was added up."""
    return Preview(
        hash=totals.fingerprint.digest(),
        made_at=now,
        attendees=totals.attendees,
        outcomes=dict(totals.outcomes),
        refund_minor=dict(totals.refund_minor),
        manual_minor=dict(totals.manual_minor),
        kept_minor={currency: kept for currency, kept in totals.kept_minor.items() if kept},
        payments=totals.payments,
        checked_in=totals.checked_in,
        without_email=totals.without_email,
        accounts=sorted(totals.accounts),
        funds=funds,
    )


def differences(before: Preview, now: Preview) -> list[tuple[Message, str, str]]:
    """Return what changed, as (what, before, now), for a person to read."""
    found = [
        (Message("attendees"), str(before.attendees), str(now.attendees)),
        (Message("payments to refund"), str(before.payments), str(now.payments)),
    ]
    for name in sorted(before.outcomes.keys() | now.outcomes.keys()):
        counts = str(before.outcomes.get(name, 0)), str(now.outcomes.get(name, 0))
        found.append((Message("outcome '%(name)s'", {"name": in_sense("outcome", name)}), *counts))
    for currency in sorted(before.refund_minor.keys() | now.refund_minor.keys()):
        sums = before.refund_minor.get(currency, 0), now.refund_minor.get(currency, 0)
        what = Message("refunds in %(currency)s (minor units)", {"currency": currency})
        found.append((what, str(sums[0]), str(sums[1])))
    return [difference for difference in found if difference[1] != difference[2]]


def _funds(
    provider: PaymentProvider | None, totals: Totals, *, test_mode: bool
) -> dict[str, int] | None:
    if provider is None:
        return None
    found: dict[str, int] = {}
    try:
        for name in sorted(totals.accounts):
            account = name.partition(":")[2] or None
            for funds in provider.funds(account, test_mode=test_mode):
                found[funds.currency] = found.get(funds.currency, 0) + funds.available_minor
    except ProviderUnavailable:
        return None
    return found
