"""What an import did, and row by row what it did not take and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from meet2be.language import Message

Severity = Literal["refused", "warning"]
Reason = tuple[str, str, Message | str]
KEPT: Final = 5_000
_SHOWN: Final = 60
_SUMS: Final = (
    "rows", "added", "already_there", "refused", "warnings", "orders", "invoices", "payments",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Issue:
    """One remark about one row.

    `refused` rows were not taken; with a `warning` the row was. `row` counts as a spreadsheet
    does, the row of names being 1; `value` is cut to be shown; `repeats` is the earlier row that
    says the same.
    """

    severity: Severity
    row: int
    column: str
    value: str
    message: Message | str
    repeats: int | None = None

    def __str__(self) -> str:
        """Return the remark as a line of text."""
        what = f"{self.column} {self.value!r}" if self.value else self.column
        return f"row {self.row}: {what}: {self.message}"


@dataclass(slots=True)
class ImportReport:
    """The outcome of an import; money in minor units, by currency where currencies may differ."""

    file: str
    rows: int = 0
    added: int = 0
    already_there: int = 0
    refused: int = 0
    warnings: int = 0
    orders: int = 0
    invoices: int = 0
    payments: int = 0
    by_state: Counter[str] = field(default_factory=Counter)
    paid_minor: Counter[str] = field(default_factory=Counter)
    refunded_minor: Counter[str] = field(default_factory=Counter)
    ticket_types_created: list[str] = field(default_factory=list)
    quotas_raised: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    on_issue: Callable[[Issue], None] | None = None
    on_known: Callable[[int], None] | None = None
    _remarks: int = 0

    @property
    def is_repeat(self) -> bool:
        """Whether the event is as it was because the list was imported before."""
        return self.added == 0 and self.already_there > 0

    @property
    def issues_left_out(self) -> int:
        """How many remarks `issues` does not hold; `on_issue` was told all of them."""
        return self._remarks - len(self.issues)

    def refuse(self, row: int, *reasons: Reason) -> None:
        """Note that a row was not taken, and why: (column, value, message) each."""
        self.refused += 1
        for column, value, message in reasons:
            self.note(Issue("refused", row, column, _cut(value), message))

    def repeat(self, row: int, first: int, reason: Reason) -> None:
        """Note that a row was not taken because it repeats an earlier one."""
        self.refused += 1
        column, value, message = reason
        self.note(Issue("refused", row, column, _cut(value), message, first))

    def known(self, row: int) -> None:
        """Note that what a row says is there already."""
        self.already_there += 1
        if self.on_known is not None:
            self.on_known(row)

    def warn(self, row: int, column: str, value: str, message: Message | str) -> None:
        """Note something about a row that was taken."""
        self.warnings += 1
        self.note(Issue("warning", row, column, _cut(value), message))

    def note(self, issue: Issue) -> None:
        """Keep a remark, or only tell it once many are kept."""
        self._remarks += 1
        if len(self.issues) < KEPT:
            self.issues.append(issue)
        if self.on_issue is not None:
            self.on_issue(issue)

    def merge(self, part: ImportReport) -> None:
        """Add what a part of the same import did, once that is committed."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        self.by_state.update(part.by_state)
        self.paid_minor.update(part.paid_minor)
        self.refunded_minor.update(part.refunded_minor)
        self.ticket_types_created += part.ticket_types_created
        known = {*self.quotas_raised, *self.ticket_types_created}
        self.quotas_raised += [name for name in part.quotas_raised if name not in known]
        for issue in part.issues:
            self.note(issue)

    def summary(self) -> str:
        """Return the outcome in one sentence."""
        if not self.rows:
            return f"'{self.file}' holds no attendees; nothing was changed."
        if self.is_repeat:
            refused = f", {self.refused:,} rows are not taken" if self.refused else ""
            return (
                f"{self.already_there:,} of {self.rows:,} attendees of '{self.file}' are here "
                f"already{refused}; nothing was changed."
            )
        parts = [f"{self.added:,} attendees added in {self.orders:,} orders"]
        if self.already_there:
            parts.append(f"{self.already_there:,} were here already")
        if self.refused:
            parts.append(f"{self.refused:,} rows not taken")
        if self.warnings:
            parts.append(f"{self.warnings:,} warnings")
        return f"'{self.file}': {', '.join(parts)}."


def _cut(value: str) -> str:
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
