"""Pages of a long list, found by where the last one ended: the thousandth costs as much as one.

A list is ordered by columns of which the last is unique. A page starts after, or ends before, the
values of those columns in one row; nothing is counted and nothing skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

COUNTED_AT_MOST = 10_000
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """By which columns a list is ordered; all of them in the same direction."""

    columns: Sequence[InstrumentedAttribute[Any]]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """Where a page lies: after ``after``, before ``before``, or at the beginning.

    Both are values of the order's columns; at most one is given.
    """

    after: Sequence[Any] | None = None
    before: Sequence[Any] | None = None
    size: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a page, and whether the list goes on in either direction."""

    rows: list[Any]
    has_earlier: bool
    has_later: bool


def fetch_page(
    session: Session | Connection,
    statement: Select[*tuple[Any, ...]],
    order: Order,
    part: Slice,
    *,
    whole_rows: bool = False,
) -> Page:
    """Return one page of ``statement``; with ``whole_rows`` of its tuples, else of its objects."""
    return fetch_merged(session, [statement], order, part, whole_rows=whole_rows)


def fetch_merged(
    session: Session | Connection,
    statements: Sequence[Select[*tuple[Any, ...]]],
    order: Order,
    part: Slice,
    *,
    whole_rows: bool = False,
) -> Page:
    """Return one page of what several statements find, no row twice.

    Each is read along an index that begins with its own conditions, so that none sorts: where one
    of several values fits, no index has all of them in the list's order. The statements' first
    (or only) column has to be an object that has the order's columns.
    """
    backwards = part.before is not None
    read = [
        result.all() if whole_rows else result.scalars().all()
        for result in (
            session.execute(_from_place_on(statement, order, part).limit(part.size + 1))
            for statement in statements
        )
    ]
    if len(read) == 1:
        rows = list(read[0])  # in order, and of columns alone perhaps
    else:
        by_place = {
            _place_of(row, order, whole_rows=whole_rows): row for one in read for row in one
        }
        rows = [by_place[place] for place in sorted(by_place, reverse=_is_falling(order, part))]
    is_more = len(rows) > part.size
    rows = rows[: part.size]
    if backwards:
        rows.reverse()
        return Page(rows, has_earlier=is_more, has_later=True)
    return Page(rows, has_earlier=part.after is not None, has_later=is_more)


def by_number(session: Session, order: Order, part: Slice, *, least: Any = EPOCH) -> Slice:
    """Return a slice of an order by two columns for one that names its place by the second alone.

    Both grow together, or nearly. So where the row itself is gone its place is taken from the one
    before it; ``least`` is less than any value of the first column.
    """
    place = part.after if part.before is None else part.before
    if place is None:
        return part
    (first, number), (known,) = order.columns, place
    at_or_before = select(first).where(number <= known).order_by(number.desc()).limit(1)
    value = session.scalar(at_or_before)
    there = (least if value is None else value, known)
    if part.before is None:
        return Slice(after=there, size=part.size)
    return Slice(before=there, size=part.size)


def end_of_walk(
    session: Session | Connection,
    statement: Select[*tuple[Any, ...]],
    order: Order,
    part: Slice,
    most: int,
) -> ColumnElement[bool] | None:
    """Return the condition that ends a way along an order after ``most`` rows of ``statement``.

    None: the way is no longer than that.
    """
    way = _from_place_on(statement.with_only_columns(*order.columns), order, part)
    end = session.execute(way.offset(most).limit(1)).one_or_none()
    if end is None:
        return None
    here: Any = tuple_(*order.columns)
    there = tuple_(*end)
    before: ColumnElement[bool] = here >= there if _is_falling(order, part) else here <= there
    return before


def count_up_to(
    session: Session | Connection,
    statement: Select[*tuple[Any, ...]],
    limit: int = COUNTED_AT_MOST,
) -> tuple[int, bool]:
    """Return how many rows there are and True, or ``limit`` and False when there are more."""
    counted = statement.order_by(None).limit(limit + 1).subquery()
    number = session.scalar(select(func.count()).select_from(counted)) or 0
    return (number, True) if number <= limit else (limit, False)


def _place_of(row: Any, order: Order, *, whole_rows: bool) -> tuple[Any, ...]:
    thing = row[0] if whole_rows else row
    return tuple(getattr(thing, column.key) for column in order.columns)


def _is_falling(order: Order, part: Slice) -> bool:
    return order.descending != (part.before is not None)


def _from_place_on(
    statement: Select[*tuple[Any, ...]], order: Order, part: Slice
) -> Select[*tuple[Any, ...]]:
    position = part.after if part.before is None else part.before
    falling = _is_falling(order, part)
    if position is not None:
        statement = statement.where(_beyond(order.columns, position, falling=falling))
    return statement.order_by(
        *(column.desc() if falling else column.asc() for column in order.columns)
    )


def _beyond(
    columns: Sequence[InstrumentedAttribute[Any]], position: Sequence[Any], *, falling: bool
) -> ColumnElement[bool]:
    here: Any = columns[0] if len(columns) == 1 else tuple_(*columns)
    there = position[0] if len(columns) == 1 else tuple_(*position)
    beyond: ColumnElement[bool] = here < there if falling else here > there
    return beyond
