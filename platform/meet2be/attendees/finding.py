"""Pages of the attendees that a search finds, at a cost that does not grow with the event.

A condition that is true of few is read from its indexes, and they are sorted. Where each is true
of many the list is walked along its order, and soon a page is full. Should those who fit stand far
away there, such as all Zoes of a list by name, they are fetched and sorted after all.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.attendees.searching import (
    AttendeeSearch,
    Condition,
    Numbers,
    rows_that_fit,
    state_fits,
)
from meet2be.db import tenant_of
from meet2be.db.keyset import (
    COUNTED_AT_MOST,
    Order,
    Page,
    Slice,
    count_up_to,
    end_of_walk,
    fetch_page,
)

FEW: Final = COUNTED_AT_MOST
"""So many rows at most are fetched to be sorted."""

REMEMBERED: Final = 4_000
"""Of so many the numbers are kept, so that they are looked for once a page."""

WALKED: Final = 10_000
"""So many rows of a list are walked for one page."""

BY_NAME: Final = Order((Attendee.name_key, Attendee.id))


class Found:
    """The numbers of the attendees whom a search finds; rows are read for one page only."""

    def __init__(self, session: Session, event_id: int, search: AttendeeSearch) -> None:
        # Past the session's guard, so the statements name the tenant.
        self._numbers = Numbers(tenant_of(session), event_id)
        self._connection = session.connection()
        self._search = search

    def page(self, order: Order, part: Slice) -> Page:
        """Return a page of numbers."""
        search, numbers = self._search, self._numbers
        if not search.words and not search.state:
            return self._fetch(numbers.everybody(), order, part)
        if not search.words and order.columns == BY_NAME.columns:
            return self._fetch(
                numbers.everybody(state_fits(search.state, by_index=True)), order, part
            )
        if self._rare:
            return self._fetch(self._few[0], order, part)
        end = end_of_walk(self._connection, numbers.everybody(), order, part, WALKED)
        near = numbers.everybody(*rows_that_fit(search))
        page = self._fetch(near if end is None else near.where(end), order, part)
        goes_on = page.has_later if part.before is None else page.has_earlier
        if end is None or goes_on:
            return page
        everyone = numbers.among(numbers.conditions(search, None))
        return self._fetch(everyone, order, part)

    def count(self) -> tuple[int, bool]:
        """Return how many there are, or at least, and whether that is exact."""
        search, numbers = self._search, self._numbers
        if not search.words and not search.state:
            return count_up_to(self._connection, numbers.everybody())
        if self._rare:
            few, number = self._few
            return count_up_to(self._connection, few) if number is None else (number, True)
        if len(self._conditions) == 1:
            return FEW, False
        end = end_of_walk(self._connection, numbers.everybody(), BY_NAME, Slice(), WALKED)
        near = numbers.everybody(*rows_that_fit(search))
        number, _ = count_up_to(self._connection, near if end is None else near.where(end))
        return number, end is None

    def few(self) -> list[int] | None:
        """Return their numbers where a condition is true of few; None where each is of many."""
        return list(self._connection.scalars(self._few[0])) if self._rare else None

    def _fetch(self, numbers: Select[Any], order: Order, part: Slice) -> Page:
        return fetch_page(self._connection, numbers, order, part)

    @cached_property
    def _conditions(self) -> list[Condition]:
        return self._numbers.conditions(self._search, FEW + 1)

    @cached_property
    def _rare(self) -> list[tuple[Condition, int]]:
        """Those conditions that are true of few, and of how many each."""
        counted = [
            (one, count_up_to(self._connection, one.numbers, FEW)) for one in self._conditions
        ]
        return [(one, number) for one, (number, is_exact) in counted if is_exact]

    @cached_property
    def _few(self) -> tuple[Select[Any], int | None]:
        """The statement for those whom all conditions fit, one true of few, and their number."""
        rare = [one for one, _ in self._rare]
        found = self._numbers.among(
            rare, *(one.asked for one in self._conditions if one not in rare)
        )
        if len(self._conditions) == 1:
            return found, self._rare[0][1]
        known = self._connection.scalars(found.limit(REMEMBERED + 1)).all()
        if len(known) > REMEMBERED:
            return found, None
        return self._numbers.listed(known), len(known)
