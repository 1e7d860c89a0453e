"""Reading attendees for a file: one moment of the database, page after page, column by column.

A page is found by where the last one ended, so that nobody comes twice or is left out. Rows come
straight from the driver, and values are turned a column at a time, each different one once where
few are different: a step of Python for each cell would take longer than reading it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from operator import add
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Select, and_, func, tuple_
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

from meet2be.attendees.listing import found_attendees
from meet2be.attendees.models import Attendee
from meet2be.db import tenant_of
from meet2be.events.models import TicketType
from meet2be.exports.columns import COLUMNS, STATE_WORDS, Column
from meet2be.exports.spec import ExportSpec
from meet2be.invoices.models import Invoice
from meet2be.language import _, speaking
from meet2be.money import to_decimal
from meet2be.orders.models import Order

MOST_OFFSETS: Final = 50_000
"""Days, and quarters of an hour, whose distance from UTC is kept: a year has less of either."""
Values = Sequence[Any]
Chunk = list[Values]
"""Some rows, as one sequence of values for each column."""
_NEEDED: dict[str, tuple[Any, ColumnElement[bool]]] = {
    "ticket": (TicketType, TicketType.id == Attendee.ticket_type_id),
    "order": (Order, Order.id == Attendee.order_id),
    "invoice": (Invoice, Invoice.id == Attendee.invoice_id),
}


def count_rows(session: Session, event_id: int, spec: ExportSpec) -> int:
    """Return how many rows the file will have."""
    # Every number is above 0. Saying so lets SQLite go by them, in the order in which rows lie on
    # the disk, which takes a tenth of the time that it takes by name.
    statement = _wanted(event_id, spec).where(Attendee.id > 0).with_only_columns(func.count())
    return session.scalar(statement) or 0


def read_chunks(session: Session, event_id: int, spec: ExportSpec, rows: int) -> Iterator[Chunk]:
    """Yield the wanted columns, some rows at a time, in the wished order."""
    columns = [COLUMNS[key] for key in spec.columns]
    turns = _turns(columns, spec)
    by = (Attendee.name_key, Attendee.id) if spec.order == "name" else (Attendee.id,)
    sources = [column.source for column in columns]
    currency, *keys = (_place_of(source, sources) for source in (Attendee.currency, *by))
    # Past the ORM, which would take a tenth of the time: so the statement names the tenant itself.
    statement = _selected(event_id, spec, columns, sources).where(
        Attendee.tenant_id == tenant_of(session)
    )
    statement = statement.order_by(*by).limit(rows)
    connection = session.connection()
    typed = [_typed(source, connection.dialect) for source in sources]
    position: tuple[Any, ...] | None = None
    while True:
        page = statement if position is None else statement.where(_after(by, position))
        found = _fetched(connection, page)
        if not found:
            return
        values = [
            turn(column) for turn, column in zip(typed, zip(*found, strict=True), strict=True)
        ]
        currencies = values[currency]
        yield [turn(column, currencies) for turn, column in zip(turns, values, strict=False)]
        if len(found) < rows:
            return
        position = tuple(values[key][-1] for key in keys)


def _fetched(connection: Connection, page: Select[Any]) -> list[tuple[Any, ...]]:
    """Return the rows as the driver has them; SQLAlchemy's own take as long as the database."""
    with closing(connection.execute(page)) as result:
        return cast("list[tuple[Any, ...]]", result.cursor.fetchall())


def _typed(source: Any, dialect: Dialect) -> Callable[[Values], Values]:
    """Return what makes the driver's values of a column those of its type."""
    turn = source.type.dialect_impl(dialect).result_processor(dialect, None)
    return (lambda values: values) if turn is None else (lambda values: list(map(turn, values)))


def _place_of(source: Any, sources: list[Any]) -> int:
    """Return where a column stands among those that are read, added where it is not."""
    for place, there in enumerate(sources):
        if there is source:
            return place
    sources.append(source)
    return len(sources) - 1


def _selected(
    event_id: int, spec: ExportSpec, columns: Sequence[Column], sources: Sequence[Any]
) -> Select[Any]:
    statement = _wanted(event_id, spec).with_only_columns(
        *(source.label(f"c{place}") for place, source in enumerate(sources))
    )
    # What was deleted or never there leaves its cells empty, never its attendee out.
    for need in dict.fromkeys(column.needs for column in columns if column.needs):
        model, same = _NEEDED[need]
        statement = statement.outerjoin(model, and_(model.tenant_id == Attendee.tenant_id, same))
    return statement


def _wanted(event_id: int, spec: ExportSpec) -> Select[Any]:
    # Erased people are nobody any more: they stand in no file.
    found = found_attendees(event_id, spec.search)
    return found.where(Attendee.anonymised_at.is_(None))


def _after(by: Sequence[Any], position: Sequence[Any]) -> Any:
    if len(by) == 1:
        return by[0] > position[0]
    return tuple_(*by) > tuple_(*position)


Turn = Callable[[Values, Values], Values]


def _turns(columns: Sequence[Column], spec: ExportSpec) -> list[Turn]:
    """Return for each column what makes its values ones to write."""
    with speaking(spec.language):
        words = {key: key if spec.raw else _(label) for key, label in STATE_WORDS.items()}
    kinds: dict[str, Turn] = {
        "text": lambda values, _currencies: values,
        "state": lambda values, _currencies: _each(values, lambda value: words.get(value, value)),
        "moment": _moments(spec.zone),
        "money": _amounts,
    }
    return [kinds[column.kind] for column in columns]


def _each(values: Values, turn: Callable[[Any], Any]) -> Values:
    """Return each value turned, of which few are different."""
    return list(map({value: turn(value) for value in set(values)}.__getitem__, values))


def _amounts(values: Values, currencies: Values) -> Values:
    if len(set(currencies)) == 1:
        currency = currencies[0]
        return _each(values, lambda value: to_decimal(value, currency))
    pairs = list(zip(values, currencies, strict=True))
    return _each(pairs, lambda pair: to_decimal(*pair))


def _moments(zone: ZoneInfo) -> Turn:
    """Return what makes moments local: a zone is asked once for each day on which no clock changes.

    On the others it is asked once for each quarter of an hour: clocks have been changed at no other
    minutes since there are events to register for.
    """
    distances = _Distances(zone)

    def turn(values: Values, _currencies: Values) -> Values:
        there = [
            # SQLite keeps no zone
            value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
            for value in values
            if value is not None
        ]
        moments = list(map(add, there, distances.of(there)))
        if len(moments) == len(values):
            return moments
        following = iter(moments)
        return [None if value is None else next(following) for value in values]

    return turn


class _Distances:
    """How far a zone is from UTC, remembered."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._days: dict[int, timedelta | None] = {}
        self._quarters: dict[int, timedelta] = {}

    def of(self, moments: Sequence[datetime]) -> Sequence[timedelta]:
        """Return how far it is at each of these moments of UTC."""
        days, numbers = self._days, list(map(datetime.toordinal, moments))
        if len(days) >= MOST_OFFSETS:
            days.clear()
        for number in set(numbers).difference(days):
            days[number] = self._on(number)
        found = list(map(days.__getitem__, numbers))
        if None not in found:
            return cast("list[timedelta]", found)
        return [
            self._in_quarter(moment) if distance is None else distance
            for moment, distance in zip(moments, found, strict=True)
        ]

    def _on(self, number: int) -> timedelta | None:
        """Return the distance on a day; None when it is not the same in all of its hours."""
        day = datetime.fromordinal(number)
        try:
            found = {self._at(day + timedelta(hours=hour)) for hour in range(24)}
            found.add(self._at(day + timedelta(hours=23, minutes=59)))
        except OverflowError:  # at either end of the calendar
            return None
        return found.pop() if len(found) == 1 else None

    def _in_quarter(self, moment: datetime) -> timedelta:
        quarters = self._quarters
        quarter = (moment.toordinal() * 24 + moment.hour) * 4 + moment.minute // 15
        distance = quarters.get(quarter)
        if distance is None:
            if len(quarters) >= MOST_OFFSETS:
                quarters.clear()
            distance = quarters[quarter] = self._at(moment)
        return distance

    def _at(self, moment: datetime) -> timedelta:
        return moment.replace(tzinfo=UTC).astimezone(self._zone).replace(tzinfo=None) - moment
