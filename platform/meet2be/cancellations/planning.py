"""The arithmetic of a cancellation: who gets what back, and why not.

Pure and streaming: preview and real run go through the same function, so they cannot differ.
Lines must come ordered by payment; the lines of one payment form one unit, refunded at once.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from meet2be.cancellations.options import FULL_PERCENT, CancelOptions

REFUND = "refund"
MANUAL = "manual"
NO_INVOICE = "no_invoice"
FREE = "free"
NOT_PAID = "not_paid"
DISPUTED = "disputed"
ALREADY_REFUNDED = "already_refunded"
FEE_KEPT = "fee_kept"
TEST_MODE = "test_mode"

# Three-decimal currencies are moved in steps of ten (a rule of card schemes).
_STEPS_OF_TEN = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


@dataclass(frozen=True, slots=True)
class PaidWith:
    """The payment behind a line, amounts in minor units."""

    id: int
    status: str
    amount_minor: int
    taken_minor: int
    currency: str
    account: str
    test_mode: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One attendee as the plan sees it."""

    attendee_id: int
    order_id: int
    invoice_id: int | None
    name: str
    email: str | None
    locale: str
    price_minor: int
    refunded_minor: int
    currency: str
    checked_in: bool = False
    payment: PaidWith | None = None


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """What will be done for one attendee. `outcome` is one of the words of this module."""

    line: Line
    unit: int
    planned_minor: int
    kept_minor: int
    outcome: str


def plan(
    lines: Iterable[Line], options: CancelOptions, *, currency: str, test_mode: bool
) -> Iterator[PlannedItem]:
    """Yield one item a line, in order. `currency` is the event's: a fixed fee counts in it."""
    unit = 0
    for payment_id, group in groupby(lines, key=lambda line: line.payment and line.payment.id):
        if payment_id is None:
            for line in group:
                yield _unpaid(line, unit)
                unit += 1
            continue
        yield from _unit(list(group), unit, options, currency=currency, test_mode=test_mode)
        unit += 1


def _unpaid(line: Line, unit: int) -> PlannedItem:
    if line.price_minor == 0:
        outcome = FREE
    elif line.refunded_minor >= line.price_minor:
        outcome = ALREADY_REFUNDED
    elif line.invoice_id is None:
        outcome = NO_INVOICE
    else:
        outcome = NOT_PAID
    return PlannedItem(line, unit, 0, 0, outcome)


def _unit(
    lines: list[Line], unit: int, options: CancelOptions, *, currency: str, test_mode: bool
) -> Iterator[PlannedItem]:
    payment = lines[0].payment
    if payment is None:
        return
    reason = _no_refund(payment, test_mode=test_mode)
    if reason is not None:
        for line in lines:
            yield PlannedItem(line, unit, 0, 0, _own_reason(line) or reason)
        return
    owed = [line.price_minor - line.refunded_minor for line in lines]
    kept = _kept([line.price_minor for line in lines], owed, options, payment.currency, currency)
    planned = capped(
        [due - fee for due, fee in zip(owed, kept, strict=True)],
        payment.amount_minor - payment.taken_minor,
    )
    sending = REFUND if options.refund_mode == "auto" else MANUAL
    for line, due, fee, amount in zip(lines, owed, kept, planned, strict=True):
        if amount > 0:
            outcome = sending
        else:
            outcome = _own_reason(line) or (FEE_KEPT if fee >= due > 0 else ALREADY_REFUNDED)
        yield PlannedItem(line, unit, amount, fee, outcome)


def _no_refund(payment: PaidWith, *, test_mode: bool) -> str | None:
    if payment.test_mode != test_mode:
        return TEST_MODE
    if payment.status == "disputed":
        return DISPUTED
    return None if payment.status == "succeeded" else NOT_PAID


def _own_reason(line: Line) -> str | None:
    """Return why this line, whatever its payment, is owed nothing."""
    if line.price_minor == 0:
        return FREE
    return ALREADY_REFUNDED if line.refunded_minor >= line.price_minor else None


def _kept(
    prices: list[int], owed: list[int], options: CancelOptions, paid_in: str, event_currency: str
) -> list[int]:
    """Return the fee of each line, never more than is left of it.

    A percentage is rounded half up once per payment; the lines are rounded too, and the last one
    that is owed anything takes the difference.
    """
    if options.fee_kind == "fixed" and paid_in == event_currency:
        return [min(options.fee_minor, due) for due in owed]
    if options.fee_kind != "percent":
        return [0] * len(prices)
    step = 10 if paid_in in _STEPS_OF_TEN else 1
    points = options.fee_basis_points
    charged = [price if due > 0 else 0 for price, due in zip(prices, owed, strict=True)]
    fees = [min(_share(price, points, step), due) for price, due in zip(charged, owed, strict=True)]
    rest = _share(sum(charged), points, step) - sum(fees)
    for index in reversed(range(len(fees))):
        moved = max(-fees[index], min(rest, owed[index] - fees[index]))
        fees[index] += moved
        rest -= moved
    return fees


def _share(amount: int, basis_points: int, step: int) -> int:
    """Return that part of an amount, rounded half up to `step` minor units."""
    whole = FULL_PERCENT * step
    return (2 * amount * basis_points + whole) // (2 * whole) * step


def capped(amounts: list[int], left: int) -> list[int]:
    """Return the amounts cut down, from the last one on, to what a payment has left."""
    over = max(0, sum(amounts) - max(0, left))
    result = list(amounts)
    for index in reversed(range(len(result))):
        cut = min(over, result[index])
        result[index] -= cut
        over -= cut
    return result


@dataclass(slots=True)
class Totals:
    """What a plan adds up to; fed item by item, so that its size never matters."""

    attendees: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refund_minor: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    kept_minor: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    manual_minor: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    payments: int = 0
    checked_in: int = 0
    without_email: int = 0
    accounts: set[str] = field(default_factory=set)
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    _open: tuple[int, int] = (0, 0)

    def add(self, item: PlannedItem) -> None:
        """Count one item; items must come in the plan's order."""
        line, payment = item.line, item.line.payment
        self.attendees += 1
        self.outcomes[item.outcome] += 1
        self.checked_in += line.checked_in
        self.without_email += not line.email
        if payment is None:
            return
        self.kept_minor[payment.currency] += item.kept_minor
        if item.planned_minor == 0:
            return
        sums = self.refund_minor if item.outcome == REFUND else self.manual_minor
        sums[payment.currency] += item.planned_minor
        self.accounts.add(payment.account)
        if self._open[0] != payment.id:
            self._close_payment()
            self.payments += 1
            self._open = (payment.id, 0)
        self._open = (payment.id, self._open[1] + item.planned_minor)

    def digest(self) -> str:
        """Return the hash over (payment, planned amount); the plan must be complete."""
        self._close_payment()
        return self._hash.hexdigest()

    def _close_payment(self) -> None:
        payment, amount = self._open
        if payment:
            self._hash.update(_hashed(payment, amount))
        self._open = (0, 0)


def digest_of(amounts: Iterable[tuple[int, int]]) -> str:
    """Return `Totals.digest` of (payment, planned amount) in the plan's order, zeros left out."""
    found = hashlib.sha256()
    for payment, group in groupby(amounts, key=lambda pair: pair[0]):
        found.update(_hashed(payment, sum(amount for _, amount in group)))
    return found.hexdigest()


def _hashed(payment: int, amount: int) -> bytes:
    return f"{payment}:{amount}\n".encode()
