"""The conditions that a search for attendees is made of, and the indexes that each is found by.

Every word has to begin a name, company, address, domain or ticket's code of the attendee, or all
of them together a name or a company. A condition is there twice: as one that a row is asked, and
as the numbers of the rows it is true of, read from indexes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, intersect, literal_column, or_, select, union

from meet2be.attendees.keys import folded
from meet2be.attendees.models import ATTENDEE_STATUSES, Attendee
from meet2be.db.hints import unindexed
from meet2be.mailings.addresses import normal_form

# As columns of a table, which the ORM's types of them do not say they are.
_ASKED: Final[Any] = Attendee
NO_ADDRESS, REFUNDED = "no_address", "refunded"
FILTERS: Final = (*ATTENDEE_STATUSES, NO_ADDRESS, REFUNDED)
LONGEST_SEARCH: Final = 200
MOST_WORDS: Final = 6
"""So many words of a search count, the first ones."""

NAMES: Final = (Attendee.name_key, Attendee.rest_key, Attendee.last_key, Attendee.company_key)
ADDRESSES: Final = (Attendee.email_key, Attendee.domain_key, Attendee.code_key)


@dataclass(frozen=True, slots=True)
class AttendeeSearch:
    """Which attendees of an event are wanted; empty strings leave all in.

    ``words`` are beginnings of names, companies, addresses or codes; ``state`` one of ``FILTERS``.
    """

    words: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A text that keys begin with: from ``first`` on, before ``beyond``."""

    key: Any
    first: str

    def is_there(self, *, by_index: bool) -> ColumnElement[bool]:
        """Return the condition, found by its index or asked of rows that others found."""
        key = self.key if by_index else unindexed(self.key)
        # No text that begins so is greater: PostgreSQL and SQLite order keys by their letters.
        return and_(key >= self.first, key < self.first + "\U0010ffff")


Word = tuple[Beginning, ...]
"""What of an attendee may begin with one word of a search."""


def words_of(text: str) -> list[Word]:
    """Return the words that are looked for; several together may begin a name, too."""
    whole = text[:LONGEST_SEARCH]
    parts = list(dict.fromkeys(whole.split()))[:MOST_WORDS]
    name = folded(whole) if len(parts) > 1 else ""
    phrase = tuple(Beginning(key, name) for key in NAMES) if name else ()
    return [(*_beginnings(part), *phrase) for part in parts]


def _beginnings(part: str) -> Iterator[Beginning]:
    address = normal_form(part)
    yield Beginning(Attendee.email_key, address)
    yield Beginning(Attendee.code_key, address)
    if domain := address.lstrip("@"):
        yield Beginning(Attendee.domain_key, domain)
    if name := folded(part):
        yield from (Beginning(key, name) for key in NAMES)


def state_fits(state: str, *, by_index: bool) -> ColumnElement[bool]:
    """Return the condition that an attendee is in one of the states of ``FILTERS``."""
    if state == NO_ADDRESS:
        return (Attendee.email if by_index else unindexed(_ASKED.email)).is_(None)
    if state == REFUNDED:
        paid_back = Attendee.refunded_minor if by_index else unindexed(_ASKED.refunded_minor)
        # An index of some rows is taken for a condition that is written as its own.
        return paid_back > literal_column("0")
    status: Any = Attendee.status if by_index else unindexed(_ASKED.status)
    fits: ColumnElement[bool] = status == state
    return fits


def rows_that_fit(search: AttendeeSearch) -> list[ColumnElement[bool]]:
    """Return what rows that were found otherwise are asked, all of which has to be true."""
    asked = [_word_fits(word) for word in words_of(search.words)]
    return [*asked, state_fits(search.state, by_index=False)] if search.state else asked


def _word_fits(word: Word) -> ColumnElement[bool]:
    return or_(*(one.is_there(by_index=False) for one in word))


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a search: whose numbers its indexes give, and what a row is asked."""

    numbers: Select[Any]
    asked: ColumnElement[bool]


class Numbers:
    """The numbers of one event's attendees, each condition by its indexes; for Core alone.

    The statements name the tenant themselves: what the guard of sessions adds would lead SQLite
    through all rows of the tenant, see `db.hints`.
    """

    def __init__(self, tenant_id: int | None, event_id: int) -> None:
        self._mine = (Attendee.tenant_id == tenant_id, Attendee.event_id == event_id)
        self._asked = (
            unindexed(_ASKED.tenant_id) == tenant_id,
            unindexed(_ASKED.event_id) == event_id,
        )

    def everybody(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return those of the event of whom all conditions are true, by the order's index."""
        return select(Attendee.id).where(*self._mine, *conditions)

    def conditions(self, search: AttendeeSearch, most: int | None) -> list[Condition]:
        """Return the conditions, each with so many at most of those whom it is true of."""
        found = [
            Condition(self._with_word(word, most), _word_fits(word))
            for word in words_of(search.words)
        ]
        if search.state:
            asked = state_fits(search.state, by_index=False)
            those = select(self._in_state(search.state).limit(most).subquery().c.id)
            found.append(Condition(those, asked))
        return found

    def among(self, found: list[Condition], *asked: ColumnElement[bool]) -> Select[Any]:
        """Return those of whom all of these are true, and what rows are asked besides."""
        inner = [select(one.numbers.subquery().c.id) for one in found]
        numbers = inner[0] if len(inner) == 1 else intersect(*inner)
        return self.listed(numbers).where(*asked)

    def listed(self, numbers: Any) -> Select[Any]:
        """Return those of the event with these numbers."""
        return select(Attendee.id).where(Attendee.id.in_(numbers), *self._asked)

    def _in_state(self, state: str) -> Select[Any]:
        """Return those in a state by name, as its index has them."""
        those = self.everybody(state_fits(state, by_index=True))
        return those.order_by(Attendee.name_key, Attendee.id)

    def _with_word(self, word: Word, most: int | None) -> Select[Any]:
        parts = (self.everybody(one.is_there(by_index=True)).limit(most) for one in word)
        either = union(*(select(part.subquery().c.id) for part in parts)).subquery()
        return select(either.c.id).limit(most)
