"""Pages of a long list, found by where the last one ended: the thousandth costs as much as one.

A list is ordered by columns of which the last is unique. A page starts after, or ends before, the
values of those columns in one row; nothing is counted and nothing skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

COUNTED_AT_MOST = 10_000


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
    backwards = part.before is not None
    found = session.execute(_from_place_on(statement, order, part).limit(part.size + 1))
    rows: list[Any] = list(found if whole_rows else found.scalars())
    is_more = len(rows) > part.size
    rows = rows[: part.size]
    if backwards:
        rows.reverse()
        return Page(rows, has_earlier=is_more, has_later=True)
    return Page(rows, has_earlier=part.after is not None, has_later=is_more)


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
