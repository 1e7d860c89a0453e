"""Rows of a list as attendees of an event: columns into fields, and then as every list is taken.

What a row may be and how it is written is told by `meet2be.attendees`; here are the columns, what a
list may leave out, and what an undo takes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meet2be.attendees import csv_rows as columns
from meet2be.attendees import row_parsing as states
from meet2be.attendees.addresses import normal_address, read_address
from meet2be.attendees.csv_rows import RawRow
from meet2be.attendees.keys import keys_of
from meet2be.attendees.models import Attendee
from meet2be.attendees.order_plans import PlannedOrder, plan_order
from meet2be.attendees.report import ImportReport, Issue
from meet2be.attendees.row_parsing import AttendeeRow, Expected
from meet2be.attendees.writing import Target, new_orders, write_orders
from meet2be.db import clock_of
from meet2be.events.models import TicketType
from meet2be.imports.attendee_undo import CHANGED_AT, undo_attendees
from meet2be.imports.cell_words import AROUND, LANGUAGES, STATES, YES, amount, moment
from meet2be.imports.fields import FIELDS, FIRST_NAME, LAST_NAME, Mapped
from meet2be.imports.outcomes import Outcome, SourceRow, Written, claim_of
from meet2be.language import Message
from meet2be.money import FALLBACK_LOCALE, format_minor
from meet2be.orders.models import Order

_HERE: Final = ("active", "checked_in")
_UPDATED: Final = ("name", "company", "locale", "notes")
_SUMS: Final = frozenset({"total", "grand total", "sum", "summe", "gesamt", "gesamtsumme"})
_NOTHING: Final = frozenset({"", "0", "0.0", "0.00", "0,0", "0,00"})


@dataclass(frozen=True, slots=True)
class AttendeeOptions:
    """`duplicates` is skip, update or report; `shared` lets several people have one address."""

    duplicates: str = "skip"
    shared: bool = False


class AttendeeRows:
    """The rows of one import into one event; see `outcomes.Rows`."""

    def __init__(
        self,
        uid: str,
        mapping: Mapped,
        options: AttendeeOptions,
        target: Target,
        expected: Expected,
        zone: str,
    ) -> None:
        """Know the import's name, its columns, and where its rows go."""
        self._prefix = f"L{uid[:8].upper()}"
        self._options = options
        self._target, self._expected, self._zone = target, expected, zone
        by_key = {field.key: field.column for field in FIELDS["attendees"]}
        self._columns = [
            (by_key[key], int(given["column"]))
            for key, given in mapping.items()
            if "column" in given
        ]
        self._fixed = {
            by_key[key]: str(given["fixed"]) for key, given in mapping.items() if "fixed" in given
        }
        self._order_place = mapping.get("order", {}).get("column")
        self._raised: Mapping[int, int] = {}

    # ---- columns into fields ----

    def order_of(self, cells: Sequence[str]) -> str:
        """Return the order's code, empty where the list has none."""
        place = self._order_place
        return cells[place].strip(AROUND) if place is not None and place < len(cells) else ""

    def _raw(self, row: SourceRow) -> RawRow:
        values = dict(self._fixed)
        width = len(row.cells)
        for column, place in self._columns:
            values[column] = row.cells[place].strip(AROUND) if place < width else ""
        self._fill_in(values, row.number)
        is_sum = values.get(columns.NAME, "").casefold().rstrip(":") in _SUMS
        if is_sum and not values.get(columns.EMAIL):
            problem = Message("looks like the list's total, not like a person")
            return RawRow(row.number, values, row.problem or problem)
        return RawRow(row.number, values, row.problem)

    def _fill_in(self, values: dict[str, str], number: int) -> None:
        """Put there what the list leaves out, and into our words what people write."""
        first, last = values.pop(FIRST_NAME, ""), values.pop(LAST_NAME, "")
        if (first or last) and not values.get(columns.NAME):
            values[columns.NAME] = f"{first} {last}".strip()
        if not values.get(columns.ORDER):
            # An empty cell says as little as a missing column: the row is an order of its own.
            values[columns.ORDER] = self._own_code(number)
        values[columns.PRICE] = amount(values.get(columns.PRICE, "")) or "0"
        values[columns.CURRENCY] = values.get(columns.CURRENCY) or self._expected.currency
        if refunded := values.get(columns.REFUNDED):
            values[columns.REFUNDED] = amount(refunded)
        state = values.get(columns.STATE, "")
        if state:
            values[columns.STATE] = STATES.get(state.casefold(), state)
        else:
            is_free = values[columns.PRICE] in _NOTHING
            values[columns.STATE] = states.FREE if is_free else states.PAID
        if when := values.get(columns.REGISTERED):
            values[columns.REGISTERED] = moment(when, self._zone)
        if said := values.get(columns.CHECKED_IN):
            values[columns.CHECKED_IN] = YES.get(said.casefold(), said)
        if language := values.get(columns.LANGUAGE):
            values[columns.LANGUAGE] = LANGUAGES.get(language.casefold(), language)

    # ---- checking and writing ----

    def check(self, session: Session, rows: Sequence[SourceRow]) -> list[Outcome]:
        """Return what would become of the rows, writing nothing."""
        work = _Work(self, rows, "invalid")
        planned = work.planned(self._expected)
        planned = work.without_known(session, planned)
        new_orders(session, self._target, planned, work.report)
        work.settle_known(session, is_write=False)
        return list(work.outcomes.values())

    def write(self, session: Session, rows: Sequence[SourceRow]) -> list[Outcome]:
        """Write the rows and return what became of them."""
        work = _Work(self, rows, "failed")
        planned = work.planned(self._expected)
        planned = work.without_known(session, planned)
        written = write_orders(session, self._target, planned, work.report)
        self._raised = written.raised
        for number, attendee_id in written.attendees.items():
            outcome = work.outcomes[number]
            outcome.state, outcome.entity_id, outcome.entity_at = (
                "created", attendee_id, written.at,
            )  # fmt: skip
        work.settle_known(session, is_write=True)
        return list(work.outcomes.values())

    def raised(self) -> Mapping[int, int]:
        """Return by how much the write raised the quota of each kind of ticket."""
        return self._raised

    def undo(self, session: Session, rows: Sequence[Written]) -> list[Outcome]:
        """Take back the attendees that nobody has changed since, each order as a whole."""
        return undo_attendees(session, rows)

    def _own_code(self, number: int) -> str:
        return f"{self._prefix}-{number}"

    # ---- what `_Work` asks ----

    def raw_rows(self, rows: Sequence[SourceRow]) -> dict[str, list[RawRow]]:
        """Return the rows of each order."""
        orders: dict[str, list[RawRow]] = {}
        for row in rows:
            raw = self._raw(row)
            orders.setdefault(raw.values[columns.ORDER], []).append(raw)
        return orders

    def goes_by_address(self, number: int, code: str) -> bool:
        """Tell whether a row's person is known by the address, since it names no order."""
        return code == self._own_code(number)

    @property
    def event_id(self) -> int:
        """The event's number."""
        return self._target.event_id

    @property
    def duplicates(self) -> str:
        """What to do with those who are there."""
        return self._options.duplicates

    def tells(self, column: str) -> bool:
        """Tell whether the list has a column of its own for that."""
        return any(column == each for each, _place in self._columns)

    def person(self, name: str, email_norm: str) -> tuple[str, str]:
        """Return what makes two rows be about the same person."""
        return (email_norm, name.casefold()) if self._options.shared else (email_norm, "")


class _Work:
    """The rows of one chunk on their way."""

    def __init__(self, kind: AttendeeRows, rows: Sequence[SourceRow], refused: str) -> None:
        self._kind, self._rows, self._refused = kind, rows, refused
        self.outcomes: dict[int, Outcome] = {}
        self.report = ImportReport("", on_issue=self._hear, on_known=self._hear_known)
        self._known: dict[int, int] = {}
        self._planned: dict[int, AttendeeRow] = {}

    def planned(self, expected: Expected) -> list[PlannedOrder]:
        """Return the orders that can be taken as far as the file is concerned."""
        orders = self._kind.raw_rows(self._rows)
        for raws in orders.values():
            for raw in raws:
                self.outcomes[raw.number] = self._outcome(raw)
        found = [plan_order(raws, expected, self.report) for raws in orders.values()]
        planned = [order for order in found if order is not None]
        self._planned = {row.number: row for order in planned for row in order.rows}
        return planned

    def _outcome(self, raw: RawRow) -> Outcome:
        name = raw.values.get(columns.NAME, "")
        address = read_address(raw.values.get(columns.EMAIL, "")).email
        claim = None
        if address and self._kind.goes_by_address(raw.number, raw.values[columns.ORDER]):
            claim = claim_of(*self._kind.person(name, normal_address(address)))
        label = name or address or raw.values.get(columns.EMAIL, "")
        return Outcome(raw.number, "valid", _plain(label), claim)

    def without_known(self, session: Session, planned: list[PlannedOrder]) -> list[PlannedOrder]:
        """Return the orders whose people are not there yet, where people go by their address."""
        by_address = [
            row
            for row in self._planned.values()
            if row.email_norm and self._kind.goes_by_address(row.number, row.order)
        ]
        here = self._people(session, {row.email_norm for row in by_address if row.email_norm})
        for row in by_address:
            if row.email_norm:
                found = here.get(self._kind.person(row.name, row.email_norm))
                if found is not None:
                    self._known[row.number] = found
        return [
            order for order in planned if not any(row.number in self._known for row in order.rows)
        ]

    def _people(self, session: Session, wanted: set[str]) -> dict[tuple[str, str], int]:
        if not wanted:
            return {}
        found = session.execute(
            select(Attendee.id, Attendee.name, Attendee.email_norm)
            .where(
                Attendee.event_id == self._kind.event_id,
                Attendee.email_key.in_(wanted),
                Attendee.status.in_(_HERE),
            )
            .order_by(Attendee.id.desc())
        )
        return {self._kind.person(name, str(email)): number for number, name, email in found}

    def settle_known(self, session: Session, *, is_write: bool) -> None:
        """Decide about the rows whose attendees are there already."""
        duplicates = self._kind.duplicates
        if duplicates == "update":
            self._known |= self._ids_of_orders(session)
            self._update(session, is_write=is_write)
            return
        state = "skipped" if duplicates == "skip" else "dup_existing"
        for number, attendee_id in self._known.items():
            outcome = self.outcomes[number]
            outcome.entity_id = attendee_id or None
            row = self._planned[number]
            outcome.refuse(state, columns.NAME, row.name, Message("is an attendee already."))

    def _ids_of_orders(self, session: Session) -> dict[int, int]:
        """Return the attendees behind the rows that were known by their order."""
        missing = [number for number, found in self._known.items() if not found]
        codes = {self._planned[number].order for number in missing}
        if not codes:
            return {}
        found = session.execute(
            select(Attendee.id, Order.code, Attendee.name, Attendee.email_norm)
            .join(Order, (Order.id == Attendee.order_id) & (Order.tenant_id == Attendee.tenant_id))
            .where(Order.code.in_(codes))
        )
        by_identity = {
            (code, name.casefold(), email): number for number, code, name, email in found
        }
        return {
            number: by_identity[key]
            for number in missing
            if (key := (self._planned[number].order, *self._planned[number].identity))
            in by_identity
        }

    def _update(self, session: Session, *, is_write: bool) -> None:
        """Bring the attendees that are there in line with their rows; remember what they were."""
        if not self._known:
            return
        found = session.scalars(select(Attendee).where(Attendee.id.in_(self._known.values())))
        people = {attendee.id: attendee for attendee in found}
        now = clock_of(session).now()
        for number, attendee_id in self._known.items():
            outcome, attendee = self.outcomes[number], people.get(attendee_id)
            outcome.entity_id = attendee_id or None
            row = self._planned[number]
            changes = {} if attendee is None else _changes(attendee, row)
            stays = None if attendee is None else self._what_stays(session, attendee, row)
            if stays is not None:
                outcome.note(*stays, "warning")
            if attendee is None or not changes:
                name = row.name
                if stays is None:
                    why = Message("is as it is here already.")
                else:
                    why = Message("else is as it is here already.")
                outcome.refuse("skipped", columns.NAME, name, why)
            elif is_write:
                outcome.before = {name: getattr(attendee, name) for name in changes}
                outcome.before[CHANGED_AT] = attendee.updated_at.isoformat()
                outcome.state, outcome.entity_at = "updated", now
                _set(session, attendee_id, changes, now)

    def _what_stays(
        self, session: Session, attendee: Attendee, row: AttendeeRow
    ) -> tuple[str, str, Message] | None:
        """Return of which column a list says otherwise what it cannot change, its value and why."""
        if self._kind.tells(columns.TICKET):
            here = session.get_one(TicketType, attendee.ticket_type_id).name
            if row.ticket.casefold() != here.casefold():
                why = Message("is “%(here)s” here; an update changes no ticket.", {"here": here})
                return columns.TICKET, row.ticket, why
        if self._kind.tells(columns.PRICE) and row.price != attendee.price_minor:
            here = format_minor(attendee.price_minor, attendee.currency, FALLBACK_LOCALE)
            why = Message("is %(here)s here; an update changes no price.", {"here": here})
            value = format_minor(row.price, attendee.currency, FALLBACK_LOCALE)
            return columns.PRICE, value, why
        return None

    # ---- what the rules for lists say about rows ----

    def _hear(self, issue: Issue) -> None:
        outcome, why = self.outcomes[issue.row], _message(issue.message)
        if issue.severity == "warning":
            outcome.note(issue.column, issue.value, why, "warning")
        elif issue.repeats is not None:
            outcome.repeats = issue.repeats
            outcome.refuse("dup_in_file", issue.column, issue.value, why)
        else:
            outcome.refuse(self._refused, issue.column, issue.value, why)

    def _hear_known(self, number: int) -> None:
        self._known[number] = 0


def _set(session: Session, attendee_id: int, changes: Mapping[str, Any], now: datetime) -> None:
    session.execute(
        update(Attendee)
        .where(Attendee.id == attendee_id)
        .values(**changes, **keys_of(changes), updated_at=now)
        .execution_options(synchronize_session=False)
    )


def _changes(attendee: Attendee, row: AttendeeRow) -> dict[str, Any]:
    """Return what a row says otherwise; what it leaves empty stays."""
    return {
        name: said
        for name in _UPDATED
        if (said := getattr(row, name)) and said != getattr(attendee, name)
    }


def _message(text: Message | str) -> Message:
    return text if isinstance(text, Message) else Message("%(problem)s", {"problem": text})


def _plain(text: str) -> str:
    return "".join(mark if mark.isprintable() else " " for mark in text[:200]).strip()
