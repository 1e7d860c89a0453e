"""Orders as an attendee list tells them: rows into orders, invoices and payments. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from meet2be.attendees import csv_rows as columns
from meet2be.attendees.csv_rows import RawRow
from meet2be.attendees.report import ImportReport
from meet2be.attendees.row_parsing import (
    DISPUTED,
    PAID,
    PARTLY,
    PENDING,
    REFUNDED,
    AttendeeRow,
    Expected,
    ParsedRow,
    Remark,
    parse_row,
)
from meet2be.language import Message

# Which payment a row was settled with; free rows with none.
_SETTLED: Final = {
    PAID: "succeeded",
    PARTLY: "succeeded",
    REFUNDED: "succeeded",
    DISPUTED: "disputed",
    PENDING: "pending",
}
_REF_LENGTH: Final = 24
Settlement = tuple[str, str | None]
_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class PlannedPayment:
    """Rows of one order that were settled together: same invoice, same fate."""

    status: str
    invoice: str | None
    rows: tuple[AttendeeRow, ...]

    @property
    def amount(self) -> int:
        """What came in, or is to come in."""
        return sum(row.price for row in self.rows)

    @property
    def refunded(self) -> int:
        """What has gone back."""
        return sum(row.refunded for row in self.rows)


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """An order that can be taken as far as the file is concerned."""

    code: str
    rows: tuple[AttendeeRow, ...]
    warnings: tuple[tuple[int, Remark], ...]

    @property
    def is_pending(self) -> bool:
        """Whether some of it is still to be paid."""
        return any(row.state == PENDING and row.price for row in self.rows)

    def invoices(self) -> dict[str, tuple[AttendeeRow, ...]]:
        """Return the rows of each invoice number."""
        keyed = [(row.invoice, row) for row in self.rows if row.invoice and row.price]
        return {number: tuple(rows) for number, rows in _grouped(keyed)}

    def payments(self) -> list[PlannedPayment]:
        """Return one payment for all rows that share a settlement."""
        keyed = [(key, row) for row in self.rows if (key := settlement_of(row)) is not None]
        return [
            PlannedPayment(status, invoice, tuple(rows))
            for (status, invoice), rows in _grouped(keyed)
        ]


def settlement_of(row: AttendeeRow) -> Settlement | None:
    """Return which of its order's payments a row was settled with, None for a free ticket."""
    if not row.price or row.state not in _SETTLED:
        return None
    return _SETTLED[row.state], row.invoice


def provider_ref(tenant_slug: str, order: PlannedOrder, payment: PlannedPayment) -> str:
    """Return the payment's name at the provider, always the same for the same order.

    The list does not tell it, and a demo must be able to make the same payment at its provider.
    Payments that share their order and their fate, one of them without an invoice, differ, too.
    """
    parts = [tenant_slug, order.code, payment.status]
    alike = sum(other.status == payment.status for other in order.payments())
    if len(order.invoices()) > 1 or (alike > 1 and payment.invoice):
        parts.append(payment.invoice or "")
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return f"pi_{digest[:_REF_LENGTH]}"


def plan_order(
    raws: Sequence[RawRow], expected: Expected, report: ImportReport
) -> PlannedOrder | None:
    """Return what to make of one order's rows, None when it cannot be taken.

    One bad row keeps the whole order out, since its sums would be wrong without it. A row that
    repeats another is left out alone: it says nothing that is not there.
    """
    parsed = [parse_row(raw, expected) for raw in raws]
    bad = [row for row in parsed if row.refusals]
    if bad:
        _refuse_all(parsed, bad[0].number, report)
        return None
    rows: list[AttendeeRow] = []
    seen: dict[tuple[str, str | None], int] = {}
    warnings: list[tuple[int, Remark]] = []
    for row in parsed:
        assert row.attendee is not None  # noqa: S101 -- no refusals, see parse_row
        first = seen.setdefault(row.attendee.identity, row.number)
        if first != row.number:
            _refuse_repeated(row.attendee, first, report)
            continue
        rows.append(row.attendee)
        warnings += [(row.number, remark) for remark in row.warnings]
    return PlannedOrder(rows[0].order, tuple(rows), tuple(warnings))


def _refuse_all(parsed: Sequence[ParsedRow], culprit: int, report: ImportReport) -> None:
    for row in parsed:
        if row.refusals:
            reasons = [(each.column, each.value, each.message) for each in row.refusals]
            report.refuse(row.number, *reasons)
        else:
            why = Message(
                "row %(row)s of the same order was not taken, so neither is this one.",
                {"row": culprit},
            )
            report.refuse(row.number, (columns.ORDER, row.order, why))


def _refuse_repeated(row: AttendeeRow, first: int, report: ImportReport) -> None:
    why = Message(
        "repeats row %(row)s: same order, name and e-mail. If it is a second ticket, give it a"
        " name of its own.",
        {"row": first},
    )
    report.repeat(row.number, first, (columns.NAME, row.name, why))


def _grouped(pairs: Iterable[tuple[_Key, AttendeeRow]]) -> list[tuple[_Key, list[AttendeeRow]]]:
    """Return the rows of each key, keys in the order in which they first occur."""
    groups: dict[_Key, list[AttendeeRow]] = {}
    for key, row in pairs:
        groups.setdefault(key, []).append(row)
    return list(groups.items())
