"""One row of an attendee list: from text to values, or the reason why not. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError

from meet2be import money
from meet2be.attendees import csv_rows as columns
from meet2be.attendees.addresses import normal_address, read_address
from meet2be.attendees.csv_rows import RawRow
from meet2be.language import Message

PAID, PARTLY, REFUNDED = "paid", "partly refunded", "refunded"
DISPUTED, PENDING, FREE = "disputed", "pending", "free"
# Where a remark is about no single column.
THE_ROW: Final = "the row"
STATES: Final = (PAID, PARTLY, REFUNDED, DISPUTED, PENDING, FREE)
_YES: Final = frozenset({"yes", "y", "true", "1"})
_NO: Final = frozenset({"", "no", "n", "false", "0"})
# Beside what `plain_text` names also tabs and line breaks: a cell is one line.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_LONGEST: Final = {
    columns.ORDER: 56,
    columns.NAME: 200,
    columns.COMPANY: 200,
    columns.TICKET: 120,
    columns.INVOICE: 64,
}
_LONGEST_NOTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to be said about one cell."""

    column: str
    value: str
    message: Message


@dataclass(frozen=True, slots=True)
class AttendeeRow:
    """A row that can be taken; money in minor units of the event's currency."""

    number: int
    order: str
    name: str
    email: str | None
    company: str | None
    ticket: str
    price: int
    refunded: int
    state: str
    invoice: str | None
    locale: str
    registered_at: datetime | None
    checked_in: bool
    notes: str | None

    @property
    def email_norm(self) -> str | None:
        """The address as addresses are compared."""
        return None if self.email is None else normal_address(self.email)

    @property
    def identity(self) -> tuple[str, str | None]:
        """What tells attendees of one order apart."""
        return self.name.casefold(), self.email_norm


@dataclass(slots=True)
class ParsedRow:
    """A row's values when it can be taken, otherwise all the reasons why not."""

    number: int
    order: str
    attendee: AttendeeRow | None = None
    refusals: list[Remark] = field(default_factory=list)
    warnings: list[Remark] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the event expects of its rows."""

    currency: str
    locale: str


def parse_row(raw: RawRow, expected: Expected) -> ParsedRow:
    """Return the row's values, with every reason against it at once."""
    parsed = ParsedRow(raw.number, raw.values.get(columns.ORDER, "").strip())
    if raw.problem:
        parsed.refusals.append(
            Remark(
                THE_ROW,
                "",
                Message(
                    "%(problem)s. Check its quotes, separators and order code.",
                    {"problem": raw.problem},
                ),
            )
        )
        return parsed
    cells = _Cells(raw, parsed)
    order, name = cells.needed(columns.ORDER), cells.needed(columns.NAME)
    ticket = cells.needed(columns.TICKET)
    cells.check_lengths()
    price, refunded, state = _money(cells, expected)
    row = AttendeeRow(
        number=raw.number,
        order=order,
        name=name,
        email=_email(cells),
        company=cells.text(columns.COMPANY) or None,
        ticket=ticket,
        price=price,
        refunded=refunded,
        state=state,
        invoice=_invoice(cells, state, price),
        locale=_language(cells, expected.locale),
        registered_at=_registered(cells),
        checked_in=_checked_in(cells),
        notes=raw.values.get(columns.NOTES) or None,
    )
    if not parsed.refusals:
        parsed.attendee = row
    return parsed


class _Cells:
    """The cells of one row, and the remarks made about them."""

    def __init__(self, raw: RawRow, parsed: ParsedRow) -> None:
        self._values = raw.values
        self._parsed = parsed

    def text(self, column: str) -> str:
        """Return a cell without the spaces around it; empty when the column is missing."""
        return self._values.get(column, "").strip()

    def needed(self, column: str) -> str:
        """Return a cell that may not be empty."""
        value = self.text(column)
        if not value:
            self.refuse(column, Message("is empty. Fill it in."))
        elif _CONTROL.search(value):
            self.refuse(column, _control())
        return value

    def check_lengths(self) -> None:
        """Refuse what the database has no room for; nothing is cut off silently."""
        for column, longest in _LONGEST.items():
            if len(self.text(column)) > longest:
                self.refuse(column, _too_long(longest))
        if len(self._values.get(columns.NOTES, "")) > _LONGEST_NOTE:
            self.refuse(columns.NOTES, _too_long(_LONGEST_NOTE))

    def refuse(self, column: str, why: Message) -> None:
        """Note a reason why the row cannot be taken."""
        self._parsed.refusals.append(Remark(column, self.text(column), why))

    def warn(self, column: str, what: Message) -> None:
        """Note something to be known about a row that is taken."""
        self._parsed.warnings.append(Remark(column, self.text(column), what))


def _money(cells: _Cells, expected: Expected) -> tuple[int, int, str]:
    state = cells.text(columns.STATE).casefold()
    if state not in STATES:
        states = {"states": ", ".join(STATES)}
        cells.refuse(columns.STATE, Message("is no state. Use one of: %(states)s.", states))
    currency = cells.text(columns.CURRENCY).upper()
    if currency != expected.currency:
        cells.refuse(
            columns.CURRENCY,
            Message(
                "is not the event's currency. Amounts must be in %(currency)s.",
                {"currency": expected.currency},
            ),
        )
        return 0, 0, state
    price = _amount(cells, columns.PRICE, currency)
    refunded = _amount(cells, columns.REFUNDED, currency, default="0")
    if price is None or refunded is None:
        return 0, 0, state
    if refunded > price:
        cells.refuse(
            columns.REFUNDED,
            Message(
                "is more than was paid (%(paid)s). Correct one of them.",
                {"paid": money.plain(price, currency)},
            ),
        )
    elif state in STATES:
        problem = _contradiction(state, price, refunded)
        if problem:
            cells.refuse(columns.STATE, problem)
    return price, refunded, state


def _amount(cells: _Cells, column: str, currency: str, default: str = "") -> int | None:
    try:
        return money.parse_minor(cells.text(column) or default, currency)
    except money.AmountError as error:
        cells.refuse(column, Message(error.why))
        return None


def _contradiction(state: str, price: int, refunded: int) -> Message | None:
    """Return what is wrong when a state and its amounts cannot both be true."""
    if state == FREE:
        free = Message("is 'free' though something was paid. Correct one of them.")
        return free if price else None
    words = {"state": state, "partly": PARTLY, "refunded": REFUNDED}
    if state in {PAID, PENDING} and refunded:
        return Message(
            "is '%(state)s' though something was refunded. Write '%(partly)s' or '%(refunded)s'.",
            words,
        )
    if state == PARTLY and not 0 < refunded < price:
        return Message("does not fit: some, but not all, must be refunded. Correct the amounts.")
    if state == REFUNDED and refunded != price:
        return Message(
            "does not fit: not all is refunded. Write '%(partly)s' or correct the amounts.", words
        )
    return None


def _control() -> Message:
    return Message("holds a line break or control character. Take it out.")


def _too_long(longest: int) -> Message:
    values = {"most": f"{longest:,}"}
    return Message("is longer than %(most)s characters. Shorten it.", values)


def _email(cells: _Cells) -> str | None:
    address = read_address(cells.text(columns.EMAIL))
    if address.warning:
        cells.warn(columns.EMAIL, address.warning)
    return address.email


def _invoice(cells: _Cells, state: str, price: int) -> str | None:
    number = cells.text(columns.INVOICE)
    if _CONTROL.search(number):
        cells.refuse(columns.INVOICE, _control())
    if number and not price:
        cells.warn(columns.INVOICE, Message("is not used: nothing was paid."))
        return None
    if price and not number and state in STATES:
        cells.warn(columns.INVOICE, Message("is missing: a refund will have no credit note."))
    return number or None


def _language(cells: _Cells, default: str) -> str:
    text = cells.text(columns.LANGUAGE)
    if not text:
        return default
    name = locale_name(text)
    if name is None:
        cells.warn(columns.LANGUAGE, unknown_language(default))
    return name or default


def unknown_language(default: str) -> Message:
    """Return what is said of a cell that names no language."""
    return Message("is no language we know. '%(default)s' is used.", {"default": default})


@lru_cache(maxsize=512)
def locale_name(text: str) -> str | None:
    """Return a language's name such as `de-AT`; None for one that nobody knows."""
    name = text.replace("_", "-")
    try:
        Locale.parse(name, sep="-")
    except (UnknownLocaleError, ValueError):
        return None
    return name


def _registered(cells: _Cells) -> datetime | None:
    text = cells.text(columns.REGISTERED)
    if not text:
        return None
    moment = _moment(text)
    if moment is None:
        cells.warn(
            columns.REGISTERED,
            Message(
                "is no moment with a time zone, such as 2026-03-01T10:00:00+01:00."
                " It is left empty."
            ),
        )
    return moment


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _checked_in(cells: _Cells) -> bool:
    text = cells.text(columns.CHECKED_IN).casefold()
    if text not in _YES | _NO:
        cells.warn(columns.CHECKED_IN, Message("is neither yes nor no. It counts as no."))
    return text in _YES
