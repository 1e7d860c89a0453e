"""Failed jobs by filter, in SQL: each way leads over an index, however many there are.

Columns have indexes that end with the time. Tags and the words of errors are terms
(`failed.terms`) in a table of their own, each with the jobs that have it in the order of the list.
So what nobody has is known at once, what few have is sorted, and what many have is read from the
newest on until a page is full.

That has a limit: of several terms the entries of the rarest are read, and each is asked for the
others. When all are frequent and seldom together, a page reads on until it is full, and at the
worst every entry of the rarest term, once. A count and the groups always read all of them. What
narrows it is a rarer word, or a span of time, which bounds what is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, literal_column, or_, select, union_all

from onqueue.failed.tables import failed_job_terms, failed_jobs
from onqueue.failed.terms import tag_term, wanted_words
from onqueue.stores import FailedFilter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from onqueue.contracts import JobId

    Place = tuple[datetime, JobId]
    Condition = ColumnElement[bool]

_row = failed_jobs.c
_term = failed_job_terms.c
_FINGERPRINT_LENGTH = 32
_BEHIND_ALL = "\U0010ffff"

FORMS = 32
"""A beginning of up to so many words is read as these words, one beside the other."""

MANY = 10_000
"""A beginning of more words that so many jobs have is looked for among all, from the newest on."""

MOST = 250_000
"""From so many jobs on all rows are read in order rather than those jobs by their ids."""


@dataclass(slots=True, frozen=True)
class _Sought:
    """A term, or the beginning of terms."""

    text: str
    is_whole: bool = False

    def of(self, column: ColumnElement[str]) -> Condition:
        if self.is_whole:
            return column == self.text
        return _begins(column, self.text)


def page(
    connection: Connection, wanted: FailedFilter, limit: int, after: Place | None
) -> list[Row[Any]]:
    """Return the rows that fit, the newest first, from behind a place on."""
    search = _Search.of(connection, wanted)
    if search is None:
        return []
    streams = search.streams(connection, after, limit)
    if streams is None:
        conditions = search.conditions()
        if after is not None:
            conditions.append(_behind(after, _row.failed_at, _row.id))
        statement = select(failed_jobs).where(*conditions).order_by(*_newest_first(_row))
        return list(connection.execute(statement.limit(limit)))
    found = streams[0] if len(streams) == 1 else union_all(*streams)
    entries = found.subquery().c
    newest = (
        select(entries.job_id, entries.failed_at)
        .distinct()
        .order_by(entries.failed_at.desc(), entries.job_id.desc())
        .limit(limit)
        .subquery()
    )
    # In the order of the entries: in that of the rows an index would be read through for them.
    statement = select(failed_jobs).join(newest, newest.c.job_id == _row.id)
    ordered = statement.order_by(newest.c.failed_at.desc(), newest.c.job_id.desc())
    return list(connection.execute(ordered))


def count(connection: Connection, wanted: FailedFilter) -> int:
    """Return how many fit."""
    search = _Search.of(connection, wanted)
    if search is None:
        return 0
    if search.is_by_row:
        statement = select(func.count()).select_from(failed_jobs).where(*search.conditions())
    else:
        statement = select(func.count(_term.job_id.distinct())).where(*search.on_terms())
    return connection.scalar(statement) or 0


def groups(
    connection: Connection, wanted: FailedFilter, limit: int
) -> list[tuple[Row[*tuple[Any, ...]], Row[Any]]]:
    """Return the largest groups by fingerprint: its sums (`size`, …), and the newest of its rows.

    One whose rows were all retried between the two looks is left out.
    """
    search = _Search.of(connection, wanted)
    if search is None:
        return []
    found = connection.execute(_grouping(connection, search, limit)).all()
    # One short look by the index for each group, instead of a sort of all rows. What is wanted is
    # asked of single rows: a list of ids would be read anew for each look.
    conditions = search.conditions()
    looks = [(group, connection.execute(_newest(group, conditions)).first()) for group in found]
    return [(group, newest) for group, newest in looks if newest is not None]


@dataclass(slots=True, frozen=True)
class _Search:
    """What is looked for: conditions on rows, and terms, the rarest first."""

    wanted: FailedFilter
    sought: list[_Sought]
    least: int
    """How many jobs have the rarest term, as far as it was counted."""
    is_by_row: bool
    """Whether to go by the rows, and look for the terms of each."""

    @classmethod
    def of(cls, connection: Connection, wanted: FailedFilter) -> _Search | None:
        """Return how to look for it; None when it is known already that nothing fits."""
        group = _group_named(connection, wanted.group)
        if group is None:
            return None
        wanted = replace(wanted, group=group)
        sought = _sought(wanted)
        if not sought:
            return None if sought is None else cls(wanted, [], 0, is_by_row=True)
        counts = {one: _at_most(connection, MANY, _term.term, one.of(_term.term)) for one in sought}
        sought.sort(key=counts.__getitem__)
        least = counts[sought[0]]
        if not least:
            return None
        of_row = list(_of_row(wanted))
        rows = _at_most(connection, MANY, _row.id, *of_row) if of_row else MANY
        return cls(wanted, sought, least, is_by_row=rows < least)

    def conditions(self) -> list[Condition]:
        """Return those on a row of the jobs."""
        rows = [*_of_row(self.wanted), *_of_time(self.wanted, _row.failed_at)]
        return rows + [_has(one, _row.id) for one in self.sought]

    def on_terms(self) -> list[Condition]:
        """Return those on an entry of the rarest term."""
        return [self.sought[0].of(_term.term), *self._beside()]

    def is_of_most(self, connection: Connection) -> bool:
        """Tell whether even the rarest term has so many jobs that ids are no short cut."""
        if self.least < MANY:
            return False
        rarest = self.sought[0].of(_term.term)
        return _at_most(connection, MOST, _term.term, rarest) == MOST

    def streams(
        self, connection: Connection, after: Place | None, limit: int
    ) -> list[Select[Any]] | None:
        """Return the newest entries of the rarest term, or of each of its forms.

        None when the rows themselves are to be read.
        """
        if self.is_by_row:
            return None
        forms: list[_Sought] | None = [self.sought[0]]
        if self.least == MANY:
            forms = _forms(connection, self.sought[0])
        if forms is None:
            return None
        conditions = list(self._beside())
        if after is not None:
            conditions.append(_behind(after, _term.failed_at, _term.job_id))
        return [_stream(one, conditions, limit) for one in forms]

    def _beside(self) -> Iterator[Condition]:
        """Return what an entry of the rarest term must fulfil beside its own term."""
        yield from _of_time(self.wanted, _term.failed_at)
        yield from (_has(one, _term.job_id) for one in self.sought[1:])
        # Under another name: the statement around may be about the same table.
        holder = failed_jobs.alias().c
        # Without a condition, too: an earlier release deletes jobs and leaves their terms.
        of_row = _of_row(self.wanted, holder)
        yield exists(select(holder.id).where(holder.id == _term.job_id, *of_row))


# ---- groups ----


def _grouping(connection: Connection, search: _Search, limit: int) -> Select[*tuple[Any, ...]]:
    by: ColumnElement[str] = _row.fingerprint
    if search.is_by_row or search.is_of_most(connection):
        # In the order of the index.
        conditions = search.conditions()
    else:
        # Few are read by their ids; the index must not lead.
        conditions = [_row.id.in_(select(_term.job_id).where(*search.on_terms()))]
        by = func.coalesce(by, literal_column("''"))
    size, last_at = func.count(), func.max(_row.failed_at)
    columns: list[ColumnElement[Any]] = [
        by.label("fingerprint"),
        size.label("size"),
        func.min(_row.failed_at).label("first_at"),
        last_at.label("last_at"),
    ]
    grouped = select(*columns).where(*conditions).group_by(by)
    return grouped.order_by(size.desc(), last_at.desc(), by).limit(limit)


def _newest(group: Row[*tuple[Any, ...]], conditions: list[Condition]) -> Select[Any]:
    return (
        select(failed_jobs)
        # Not only that very instant: the newest may have been retried since the first look.
        .where(_row.fingerprint == group.fingerprint, _row.failed_at <= group.last_at, *conditions)
        .order_by(_row.failed_at.desc(), _row.id.desc())
        .limit(1)
    )


# ---- conditions ----


def _of_row(wanted: FailedFilter, row: Any = _row) -> Iterator[Condition]:
    for column, value in (
        (row.connection, wanted.connection),
        (row.queue, wanted.queue),
        (row.job, wanted.job),
        (row.tenant, wanted.tenant),
    ):
        if value:
            yield column == value
    if len(wanted.group) == _FINGERPRINT_LENGTH:
        yield row.fingerprint == wanted.group
    elif wanted.group:
        # Unlike LIKE this is a stretch of the index in every database.
        yield and_(row.fingerprint >= wanted.group, row.fingerprint < wanted.group + "g")


def _of_time(wanted: FailedFilter, column: ColumnElement[datetime]) -> Iterator[Condition]:
    if wanted.since is not None:
        yield column >= wanted.since
    if wanted.until is not None:
        yield column <= wanted.until


def _behind(
    place: Place, failed_at: ColumnElement[datetime], job_id: ColumnElement[str]
) -> Condition:
    # The first half lets an index begin at the place, which the second half alone would not.
    instant, last = place
    return and_(failed_at <= instant, or_(failed_at < instant, job_id < last))


def _has(sought: _Sought, job_id: ColumnElement[str]) -> Condition:
    other = failed_job_terms.alias()
    return exists(select(other.c.term).where(other.c.job_id == job_id, sought.of(other.c.term)))


def _begins(column: ColumnElement[str], text: str) -> Condition:
    return and_(column >= text, column < text + _BEHIND_ALL)


# ---- terms ----


def _sought(wanted: FailedFilter) -> list[_Sought] | None:
    """Return what is looked for among the terms; None when that can be in no job."""
    found = [_Sought(tag_term(wanted.tag), is_whole=True)] if wanted.tag else []
    if wanted.error:
        words = wanted_words(wanted.error)
        if not words:
            return None
        found += [_Sought(word) for word in words]
    return found


def _at_most(
    connection: Connection, most: int, column: ColumnElement[str], *conditions: Condition
) -> int:
    some = select(column).where(*conditions).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0


def _group_named(connection: Connection, given: str) -> str | None:
    """Return the fingerprint that begins so, when it is one; what is given, when it is several."""
    if not given or len(given) == _FINGERPRINT_LENGTH:
        return given
    begins = list(_of_row(FailedFilter(group=given)))
    # Two looks: one statement for both ends would read all between them.
    first, last = (
        connection.scalar(select(end(_row.fingerprint)).where(*begins))
        for end in (func.min, func.max)
    )
    return first if first == last else given


def _forms(connection: Connection, sought: _Sought) -> list[_Sought] | None:
    """Return the terms that begin so, one step in the index each; None: more than `FORMS`."""
    if sought.is_whole:
        return [sought]
    found: list[_Sought] = []
    # Each look has one lower bound: of two, an index may take the one that is long passed.
    begin = _term.term >= sought.text
    while len(found) <= FORMS:
        term = connection.scalar(
            select(func.min(_term.term)).where(begin, _term.term < sought.text + _BEHIND_ALL)
        )
        if term is None:
            return found
        found.append(_Sought(term, is_whole=True))
        begin = _term.term > term
    return None


def _stream(sought: _Sought, conditions: list[Condition], limit: int) -> Select[Any]:
    """Return the places of the newest jobs of a term, as a part of a larger statement."""
    entries = (
        select(_term.job_id, _term.failed_at)
        .where(sought.of(_term.term), *conditions)
        .order_by(_term.failed_at.desc(), _term.job_id.desc())
        .limit(limit)
    )
    # Several words of one job may begin so.
    found = (entries if sought.is_whole else entries.distinct()).subquery()
    return select(found)


def _newest_first(row: Any) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return row.failed_at.desc(), row.id.desc()
