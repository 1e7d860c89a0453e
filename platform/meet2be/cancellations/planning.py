"""The arithmetic of a cancellation: who gets what back, and why not.

Pure and streaming: preview and real run go through the same functions, so they cannot differ.
Lines must come ordered by payment; the lines of one payment form one unit, refunded at once.
What is made for each of half a million attendees is a named tuple: quickly made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, Protocol

from meet2be.cancellations.options import FULL_PERCENT, CancelOptions
from meet2be.money import smallest_step
from meet2be.payments.provider import OUTSIDE

REFUND = "refund"
MANUAL = "manual"
NO_INVOICE = "no_invoice"
FREE = "free"
NOT_PAID = "not_paid"
DISPUTED = "disputed"
ALREADY_REFUNDED = "already_refunded"
FEE_KEPT = "fee_kept"
TEST_MODE = "test_mode"


class PaidWith(NamedTuple):
    """The payment behind a line, amounts in minor units."""

    id: int
    status: str
    amount_minor: int
    taken_minor: int
    currency: str
    account: str
    test_mode: bool

    @property
    def is_outside(self) -> bool:
        """Tell whether the money came in elsewhere, where only a person can pay it back."""
        return self.account.partition(":")[0] == OUTSIDE


class Priced(Protocol):
    """What of an attendee the arithmetic looks at; amounts in minor units."""

    @property
    def price_minor(self) -> int:
        """What the ticket cost."""
        ...

    @property
    def refunded_minor(self) -> int:
        """What of it was paid back before."""
        ...

    @property
    def is_invoiced(self) -> bool:
        """Tell whether there is an invoice for it."""
        ...


class Line(NamedTuple):
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

    @property
    def is_invoiced(self) -> bool:
        """Tell whether there is an invoice for it."""
        return self.invoice_id is not None

    @property
    def has_address(self) -> bool:
        """Tell whether a mail can be written to them."""
        return bool(self.email)


class Share(NamedTuple):
    """What one ticket's part in its unit is; `outcome` is one of the words of this module."""

    planned_minor: int
    kept_minor: int
    outcome: str


class PlannedItem(NamedTuple):
    """What will be done for one attendee: a share, and whose."""

    line: Line
    unit: int
    planned_minor: int
    kept_minor: int
    outcome: str


class Rules(NamedTuple):
    """What of the event and its cancellation a plan follows; a fixed fee counts in `currency`."""

    options: CancelOptions
    currency: str
    test_mode: bool


def plan(lines: Iterable[Line], rules: Rules) -> Iterator[PlannedItem]:
    """Yield one item a line, in order."""
    unit = 0
    for payment_id, group in groupby(lines, key=lambda line: line.payment and line.payment.id):
        if payment_id is None:
            for line in group:
                yield PlannedItem(line, unit, *unpaid_share(line))
                unit += 1
            continue
        of_payment = list(group)
        payment = of_payment[0].payment
        if payment is not None:
            for line, share in zip(of_payment, shares(payment, of_payment, rules), strict=True):
                yield PlannedItem(line, unit, *share)
        unit += 1


def unpaid_share(ticket: Priced) -> Share:
    """Return why nothing goes back for a ticket without a payment."""
    if ticket.price_minor == 0:
        outcome = FREE
    elif ticket.refunded_minor >= ticket.price_minor:
        outcome = ALREADY_REFUNDED
    elif not ticket.is_invoiced:
        outcome = NO_INVOICE
    else:
        outcome = NOT_PAID
    return Share(0, 0, outcome)


def shares(payment: PaidWith, tickets: Sequence[Priced], rules: Rules) -> list[Share]:
    """Return the shares of all tickets that one payment paid for, in their order."""
    reason = _no_refund(payment, test_mode=rules.test_mode)
    if reason is not None:
        return [Share(0, 0, _own_reason(ticket) or reason) for ticket in tickets]
    owed = [ticket.price_minor - ticket.refunded_minor for ticket in tickets]
    prices = [ticket.price_minor for ticket in tickets]
    kept = _kept(prices, owed, rules.options, payment.currency, rules.currency)
    planned = capped(
        [due - fee for due, fee in zip(owed, kept, strict=True)],
        payment.amount_minor - payment.taken_minor,
    )
    # What goes back of a payment goes back in one refund, which no card takes beside its steps.
    is_movable = sum(planned) % smallest_step(payment.currency) == 0 and not payment.is_outside
    sending = REFUND if rules.options.refund_mode == "auto" and is_movable else MANUAL
    found: list[Share] = []
    for ticket, due, fee, amount in zip(tickets, owed, kept, planned, strict=True):
        if amount > 0:
            outcome = sending
        else:
            outcome = _own_reason(ticket) or (FEE_KEPT if fee >= due > 0 else ALREADY_REFUNDED)
        found.append(Share(amount, fee, outcome))
    return found


def _no_refund(payment: PaidWith, *, test_mode: bool) -> str | None:
    if payment.test_mode != test_mode:
        return TEST_MODE
    if payment.status == "disputed":
        return DISPUTED
    return None if payment.status == "succeeded" else NOT_PAID


def _own_reason(ticket: Priced) -> str | None:
    """Return why this ticket, whatever its payment, is owed nothing."""
    if ticket.price_minor == 0:
        return FREE
    return ALREADY_REFUNDED if ticket.refunded_minor >= ticket.price_minor else None


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
    step = smallest_step(paid_in)
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
