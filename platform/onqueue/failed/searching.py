"""Failed jobs by filter, in SQL: each way leads over an index, however many there are.

Columns have indexes that end with the time. Tags and the words of errors are terms
(`failed.terms`) in a table of their own, each with the jobs that have it in the order of the list.
So what nobody has is known at once, what few have is sorted, and what many have is read from the
newest on until a page is full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, false, func, or_, select, union_all

from onqueue.failed.tables import failed_job_terms, failed_jobs
from onqueue.failed.terms import tag_term, wanted_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from onqueue.contracts import JobId
    from onqueue.stores import FailedFilter

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
    columns = [*_of_row(wanted), *_of_time(wanted, _row.failed_at)]
    if after is not None:
        columns.append(_behind(after, _row.failed_at, _row.id))
    sought = _sought(wanted)
    statement = select(failed_jobs)
    if sought is None:
        return []
    if sought:
        ways = _ways(connection, sought)
        if ways is None:
            columns += [_has(one, _row.id) for one in sought]
        elif not ways:
            return []
        else:
            best, rest = ways
            conditions = [*_on_terms(wanted, rest, after)]
            streams = [_stream(one, conditions, limit) for one in best]
            columns = [_row.id.in_(_together(streams))]
    statement = statement.where(*columns).order_by(_row.failed_at.desc(), _row.id.desc())
    return list(connection.execute(statement.limit(limit)))


def count(connection: Connection, wanted: FailedFilter) -> int:
    """Return how many fit."""
    sought = _sought(wanted)
    if sought is None:
        return 0
    if not sought:
        conditions = (*_of_row(wanted), *_of_time(wanted, _row.failed_at))
        statement = select(func.count()).select_from(failed_jobs).where(*conditions)
    else:
        conditions = (sought[0].of(_term.term), *_on_terms(wanted, sought[1:]))
        statement = select(func.count(_term.job_id.distinct())).where(*conditions)
    return connection.scalar(statement) or 0


def conditions_of(wanted: FailedFilter) -> list[Condition]:
    """Return what the rows that fit have in common, for statements that look at all of them."""
    sought = _sought(wanted)
    if sought is None:
        return [false()]
    found = [*_of_row(wanted), *_of_time(wanted, _row.failed_at)]
    if sought:
        conditions = (sought[0].of(_term.term), *_on_terms(wanted, sought[1:]))
        found.append(_row.id.in_(select(_term.job_id).where(*conditions)))
    return found


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


def _on_terms(
    wanted: FailedFilter, sought: Iterable[_Sought], after: Place | None = None
) -> Iterator[Condition]:
    """Return what an entry of the terms must fulfil beside its own term."""
    yield from _of_time(wanted, _term.failed_at)
    if after is not None:
        yield _behind(after, _term.failed_at, _term.job_id)
    yield from (_has(one, _term.job_id) for one in sought)
    # Under another name: the statement around may be about the same table.
    holder = failed_jobs.alias().c
    of_row = list(_of_row(wanted, holder))
    if of_row:
        yield exists(select(holder.id).where(holder.id == _term.job_id, *of_row))


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


def _ways(
    connection: Connection, sought: list[_Sought]
) -> tuple[list[_Sought], list[_Sought]] | tuple[()] | None:
    """Return the terms of the rarest to read along, and the others. Empty: no job has all.

    None when even the rarest is the beginning of too many words that too many jobs have.
    """
    counts = [_at_most_many(connection, one) for one in sought]
    least = min(counts)
    if not least:
        return ()
    best = counts.index(least)
    rest = sought[:best] + sought[best + 1 :]
    if least < MANY:
        return [sought[best]], rest
    forms = _forms(connection, sought[best])
    return None if forms is None else (forms, rest)


def _at_most_many(connection: Connection, sought: _Sought) -> int:
    some = select(_term.term).where(sought.of(_term.term)).limit(MANY).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0


def _forms(connection: Connection, sought: _Sought) -> list[_Sought] | None:
    """Return the terms that begin so, one step in the index each; None: more than `FORMS`."""
    if sought.is_whole:
        return [sought]
    found: list[_Sought] = []
    last = ""
    while len(found) <= FORMS:
        term = connection.scalar(
            select(func.min(_term.term)).where(sought.of(_term.term), _term.term > last)
        )
        if term is None:
            return found
        found.append(_Sought(term, is_whole=True))
        last = term
    return None


def _stream(sought: _Sought, conditions: list[Condition], limit: int) -> Select[tuple[str]]:
    """Return the ids of the newest jobs of a term."""
    entries = (
        select(_term.job_id, _term.failed_at)
        .where(sought.of(_term.term), *conditions)
        .order_by(_term.failed_at.desc(), _term.job_id.desc())
        .limit(limit)
    )
    # Several words of one job may begin so.
    found = (entries if sought.is_whole else entries.distinct()).subquery()
    return select(found.c.job_id)


def _together(streams: list[Select[tuple[str]]]) -> Any:
    return streams[0] if len(streams) == 1 else union_all(*streams)
