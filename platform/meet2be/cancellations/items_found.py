"""The items of a run that a filter finds, at a cost that does not grow with the run.

Each condition is read along an index in the run's order. Words are looked up among the attendees,
by their indexes; where they are true of many the run is walked, and soon a page is full.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session

from meet2be.attendees.finding import Found
from meet2be.attendees.models import Attendee
from meet2be.attendees.searching import AttendeeSearch, rows_that_fit
from meet2be.cancellations.models import MAIL_STATES, REFUND_STATES, CancelItem, CancelRun
from meet2be.db import tenant_of
from meet2be.db.keyset import (
    COUNTED_AT_MOST,
    Order,
    Page,
    Slice,
    by_number,
    count_up_to,
    fetch_merged,
)
from meet2be.mailings.models import Mail
from meet2be.payments.models import Refund

IN_ORDER: Final = Order((CancelItem.unit, CancelItem.id))
A_READ: Final = 500
_Condition = ColumnElement[bool]
_Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items of a run are wanted; empty strings leave all in.

    ``words`` are beginnings of the attendee's names, company, address or ticket's code.
    """

    refund_state: str = ""
    mail_state: str = ""
    words: str = ""
    cause: str = ""


def items_page(session: Session, run_id: int, wanted: ItemFilter, part: Slice) -> Page:
    """Return a page of (item, attendee's uid, refund's uid, mail's uid) in the run's order.

    Places are named by `CancelItem.id`.
    """
    place = by_number(session, IN_ORDER, part, least=0)
    statement = (
        select(CancelItem, Attendee.uid, Refund.uid, Mail.uid)
        .join(Attendee, _same(Attendee, CancelItem.attendee_id))
        .outerjoin(Refund, _same(Refund, CancelItem.refund_id))
        .outerjoin(Mail, _same(Mail, CancelItem.mail_id))
    )
    ways, few = _ways(session, run_id, wanted)
    if few is not None:
        ways = [[CancelItem.id.in_(_around(few, place))]]
    found = [statement.where(*each) for each in ways]
    return fetch_merged(session, found, IN_ORDER, place, whole_rows=True)


def count_items(session: Session, run_id: int, wanted: ItemFilter) -> tuple[int, bool]:
    """Return how many items there are, and whether that is exact: it counts to 10,000 only."""
    ways, few = _ways(session, run_id, wanted)
    if few is not None:
        return len(few), True
    number = 0
    for way in ways:
        statement: Select[Any] = select(CancelItem.id).where(*way)
        if wanted.words:
            statement = statement.join(Attendee, _same(Attendee, CancelItem.attendee_id))
        more, is_exact = count_up_to(session, statement, COUNTED_AT_MOST - number)
        number += more
        if not is_exact:
            return COUNTED_AT_MOST, False
    return number, True


def _same(table: Any, number: Any) -> _Condition:
    return and_(table.tenant_id == CancelItem.tenant_id, table.id == number)


def _ways(
    session: Session, run_id: int, wanted: ItemFilter
) -> tuple[list[list[_Condition]], list[_Place] | None]:
    """Return conditions of which one is true of each wanted item, each with its own index.

    Or, where words are true of few attendees, the places of all items.
    """
    item = CancelItem
    mine: list[_Condition] = [item.run_id == run_id]
    given = ((item.refund_state, wanted.refund_state), (item.mail_state, wanted.mail_state))
    states = [column == value for column, value in given if value]
    skipped = (item.skip_reason == wanted.cause, item.error_code.is_distinct_from(wanted.cause))
    causes: list[list[_Condition]] = (
        [[item.error_code == wanted.cause], [*skipped]] if wanted.cause else [[]]
    )
    if wanted.words:
        search = AttendeeSearch(wanted.words)
        event_id = session.scalar(select(CancelRun.event_id).where(CancelRun.id == run_id)) or 0
        few = Found(session, event_id, search).few()
        asked = [[*mine, *states, *cause] for cause in causes]
        if few is not None:
            return [], _places(session, asked, few)
        return [[*each, *rows_that_fit(search)] for each in asked], None
    if wanted.cause or not states:
        return [[*mine, *states, *cause] for cause in causes], None
    refunds = (wanted.refund_state,) if wanted.refund_state else REFUND_STATES
    mails = (wanted.mail_state,) if wanted.mail_state else MAIL_STATES
    return [
        [*mine, item.mail_state == mail, item.refund_state == refund]
        for mail in mails
        for refund in refunds
    ], None


def _places(session: Session, asked: list[list[_Condition]], attendees: list[int]) -> list[_Place]:
    """Return (unit, number) of the items of some attendees, in order."""
    # Past the session's guard, whose condition would lead SQLite through all the run's items.
    mine = CancelItem.tenant_id == tenant_of(session)
    connection, found = session.connection(), set[_Place]()
    for start in range(0, len(attendees), A_READ):
        some = CancelItem.attendee_id.in_(attendees[start : start + A_READ])
        for way in asked:
            places = select(CancelItem.unit, CancelItem.id).where(mine, some, *way)
            found.update((unit, number) for unit, number in connection.execute(places))
    return sorted(found)


def _around(places: list[_Place], part: Slice) -> list[int]:
    """Return the numbers of a page's items, and of one more."""
    if part.before is not None:
        there = bisect_left(places, tuple(part.before))
        some = places[max(0, there - part.size - 1) : there]
    else:
        there = 0 if part.after is None else bisect_right(places, tuple(part.after))
        some = places[there : there + part.size + 1]
    return [number for _unit, number in some]
