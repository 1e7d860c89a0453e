"""What a plan adds up to, and the hash by which two plans are told apart."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

from meet2be.cancellations.planning import REFUND, PaidWith, PlannedItem, Share


class Counted(Protocol):
    """What of an attendee is counted."""

    @property
    def checked_in(self) -> bool:
        """Tell whether they have come already."""
        ...

    @property
    def has_address(self) -> bool:
        """Tell whether a mail can be written to them."""
        ...


class Fingerprint:
    """The hash over (payment, planned amount) in the plan's order; zeros are left out."""

    def __init__(self) -> None:
        """Begin without payments."""
        self._hash = hashlib.sha256()

    def add(self, payment_id: int, amount_minor: int) -> None:
        """Take the next payment and all that goes back on it."""
        if amount_minor:
            self._hash.update(f"{payment_id}:{amount_minor}\n".encode())

    def digest(self) -> str:
        """Return the hash of what was taken so far."""
        return self._hash.hexdigest()


def digest_of(amounts: Iterable[tuple[int, int]]) -> str:
    """Return the digest of (payment, planned amount of one ticket) in the plan's order."""
    found = Fingerprint()
    for payment, group in groupby(amounts, key=lambda pair: pair[0]):
        found.add(payment, sum(amount for _, amount in group))
    return found.digest()


@dataclass(slots=True)
class Totals:
    """What a plan adds up to; fed unit by unit, so that its size never matters."""

    attendees: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refund_minor: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    kept_minor: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    manual_minor: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    payments: int = 0
    checked_in: int = 0
    without_email: int = 0
    accounts: set[str] = field(default_factory=set)
    fingerprint: Fingerprint = field(default_factory=Fingerprint)

    def add(
        self,
        payment: PaidWith | None,
        tickets: Sequence[Counted],
        shares: Sequence[Share | PlannedItem],
        times: int = 1,
    ) -> None:
        """Count a unit as often as there are units like it; its hash is fed apart."""
        self.attendees += times * len(tickets)
        self.checked_in += times * sum(ticket.checked_in for ticket in tickets)
        self.without_email += times * sum(not ticket.has_address for ticket in tickets)
        for share in shares:
            self.outcomes[share.outcome] += times
        if payment is None:
            return
        self.kept_minor[payment.currency] += times * sum(share.kept_minor for share in shares)
        amount = sum(share.planned_minor for share in shares)
        if not amount:
            return
        is_sent = any(share.outcome == REFUND for share in shares)
        sums = self.refund_minor if is_sent else self.manual_minor
        sums[payment.currency] += times * amount
        self.payments += times if is_sent else 0
        if not payment.is_outside:
            self.accounts.add(payment.account)


def counted(items: Iterable[PlannedItem], totals: Totals) -> Iterator[PlannedItem]:
    """Yield the items of a plan, in its order, and count them on the way."""
    for _, group in groupby(items, key=lambda item: item.unit):
        unit = list(group)
        payment = unit[0].line.payment
        totals.add(payment, [item.line for item in unit], unit)
        if payment is not None:
            totals.fingerprint.add(payment.id, sum(item.planned_minor for item in unit))
        yield from unit
