"""What must have happened, worked out from the list alone and not with the platform's code.

The rules are those of docs/reference/attendee-list.md: rows of one order that were settled together
share one payment; a payment is refunded what is left of its paid and partly refunded rows; an
address counts when it is one after the spaces around it are taken away.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

CENTS = Decimal(100)
_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+")
_SETTLED = frozenset({"paid", "partly refunded", "refunded"})


@dataclass(slots=True)
class Expectation:
    """Counts and sums of one attendee list; money in minor units."""

    attendees: int = 0
    refunds: dict[str, int] = field(default_factory=dict)
    """What each order must get back."""
    mails: Counter[str] = field(default_factory=Counter)
    """How many mails each address must get."""
    not_refunded: Counter[str] = field(default_factory=Counter)
    """Attendees nothing is refunded to, by the reason."""
    without_address: int = 0

    @property
    def refunded_minor(self) -> int:
        """The sum of all refunds."""
        return sum(self.refunds.values())


def expectation_of(file: Path) -> Expectation:
    """Return what cancelling an event with this attendee list must lead to."""
    result = Expectation()
    owed: dict[str, int] = defaultdict(int)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            result.attendees += 1
            _count_money(result, owed, row)
            _count_mail(result, row)
    result.refunds = {order: amount for order, amount in owed.items() if amount}
    return result


def _count_money(result: Expectation, owed: dict[str, int], row: dict[str, str]) -> None:
    state = row["Payment state"]
    left = _cents(row["Price paid"]) - _cents(row["Refunded so far"])
    if state in _SETTLED and left > 0:
        owed[row["Order code"]] += left
    else:
        result.not_refunded["already refunded" if state in _SETTLED else state] += 1


def _count_mail(result: Expectation, row: dict[str, str]) -> None:
    address = row["E-mail"].strip()
    if _ADDRESS.fullmatch(address):
        result.mails[address] += 1
    else:
        result.without_address += 1


def _cents(text: str) -> int:
    return int(Decimal(text.replace(",", ".")) * CENTS)
