"""The lines of a plan, read from the database as a stream in the plan's order.

Read as plain rows, not through the ORM, whose part in them would be the larger one: for half a
million attendees nothing but what is needed is fetched, and no object is made of it by the way.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias, cast

from sqlalchemy import Select, String, Table, and_, exists, func, select, type_coerce
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.cancellations.models import CancelItem
from meet2be.cancellations.planning import Line, PaidWith
from meet2be.db import UnscopedSessionError, tenant_of
from meet2be.payments.models import Payment

BATCH = 500
# A payment, or no payment and an attendee.
Place: TypeAlias = tuple[int | None, int]

_ATTENDEES = cast("Table", Attendee.__table__)
_PAYMENTS = cast("Table", Payment.__table__)
_ITEMS = cast("Table", CancelItem.__table__)
# States are compared only: turning each into a member of its list takes longer than reading it.
_STATUS = type_coerce(_ATTENDEES.c.status, String)
_HAS_ADDRESS = and_(
    _ATTENDEES.c.email.is_not(None), _ATTENDEES.c.email != "", _ATTENDEES.c.anonymised_at.is_(None)
)
_PAYMENT = (
    type_coerce(_PAYMENTS.c.status, String), _PAYMENTS.c.amount_minor,
    _PAYMENTS.c.reserved_minor + _PAYMENTS.c.refunded_minor, _PAYMENTS.c.currency,
    _PAYMENTS.c.provider, _PAYMENTS.c.provider_account, _PAYMENTS.c.test_mode,
)  # fmt: skip
_TICKET = (
    _ATTENDEES.c.price_minor, _ATTENDEES.c.refunded_minor, _ATTENDEES.c.invoice_id.is_not(None),
    _STATUS == "checked_in", _HAS_ADDRESS,
)  # fmt: skip
_TICKET_COLUMNS = len(_TICKET)


class Ticket(NamedTuple):
    """What of an attendee a preview counts: a line without the person."""

    price_minor: int
    refunded_minor: int
    is_invoiced: bool
    checked_in: bool
    has_address: bool


class Kind(NamedTuple):
    """What payments are alike in: the tickets each paid for, and all of the payment but its id.

    As it came from the database, a row for each ticket; a conference has few of them.
    """

    rows: tuple[tuple[Any, ...], ...]

    @property
    def tickets(self) -> list[Ticket]:
        """Return what such a payment paid for."""
        return [Ticket(*row[:_TICKET_COLUMNS]) for row in self.rows]

    def payment(self, payment_id: int) -> PaidWith:
        """Return the payment of this kind that has that number."""
        return _payment(payment_id, self.rows[0][_TICKET_COLUMNS:])


def lines_of(
    session: Session,
    event_id: int,
    *,
    not_in_run: int | None = None,
    beyond: Place | None = None,
    up_to: int | None = None,
) -> Generator[Line, None, None]:
    """Yield the event's uncancelled attendees ordered by payment, the unpaid ones last.

    `not_in_run` leaves out those that run has an item for. `beyond` begins after a payment, or
    after an attendee without one: (payment's id or None, attendee's id). `up_to` is the last
    attendee's id.

    Both parts are read along an index, so that whoever stops early pays for what was read only;
    it is to be closed before its session then.
    """
    lines = _lines(session, event_id).where(_ATTENDEES.c.status != "cancelled")
    if not_in_run is not None:
        has_item = _ITEMS.c.run_id == not_in_run, _ITEMS.c.attendee_id == _ATTENDEES.c.id
        lines = lines.where(~exists().where(*has_item))
    for statement in _parts(lines, beyond):
        for row in _streamed(session, statement):
            # Not asked of the database: it would read along the attendees' own index then.
            if up_to is None or row[0] <= up_to:
                yield _line(row)


def lines_to_reopen(session: Session, event_id: int, run_id: int) -> Iterator[Line]:
    """Yield those whose item in that run was passed over as not paid, and who have paid since.

    Begins with the run's items: those of them that were passed over are few.
    """
    passed_over = (
        select(_ITEMS.c.attendee_id)
        .where(
            _ITEMS.c.run_id == run_id,
            _ITEMS.c.refund_state == "none_needed",
            _ITEMS.c.skip_reason == "not_paid",
        )
        .scalar_subquery()
    )
    statement = (
        _lines(session, event_id)
        .where(_ATTENDEES.c.id.in_(passed_over), _PAYMENTS.c.status == "succeeded")
        .order_by(_ATTENDEES.c.payment_id, _ATTENDEES.c.id)
    )
    for row in _streamed(session, statement):
        yield _line(row)


def kinds_of_paid(session: Session, event_id: int) -> Iterator[tuple[int, Kind]]:
    """Yield each payment of the uncancelled attendees, in the plan's order, and its kind."""
    statement = (
        _joined(session, event_id, _ATTENDEES.c.payment_id, *_TICKET, *_PAYMENT)
        .where(_ATTENDEES.c.status != "cancelled", _ATTENDEES.c.payment_id > 0)
        .order_by(_ATTENDEES.c.payment_id, _ATTENDEES.c.id)
    )
    rows = _streamed(session, statement)
    for payment_id, of_payment in groupby(rows, key=itemgetter(0)):
        yield payment_id, Kind(tuple([row[1:] for row in of_payment]))


def counts_of_unpaid(session: Session, event_id: int) -> list[tuple[Ticket, int]]:
    """Return the kinds of tickets without a payment, and how many there are of each."""
    names = [column.label(name) for column, name in zip(_TICKET, Ticket._fields, strict=True)]
    tickets = (
        select(*names)
        .where(
            _ATTENDEES.c.tenant_id == _tenant(session),
            _ATTENDEES.c.event_id == event_id,
            _ATTENDEES.c.status != "cancelled",
            _ATTENDEES.c.payment_id.is_(None),
        )
        .subquery()
    )
    found = session.connection().execute(select(tickets, func.count()).group_by(*tickets.c))
    return [(Ticket(*row[:-1]), int(row[-1])) for row in found]


def _tenant(session: Session) -> int:
    tenant_id = tenant_of(session)
    if tenant_id is None:
        raise UnscopedSessionError(_ATTENDEES.name)
    return tenant_id


def _streamed(session: Session, statement: Select[Any]) -> Iterator[Any]:
    """Yield rows, fetched in batches."""
    options = {"yield_per": BATCH}
    with session.connection().execute(statement, execution_options=options) as rows:
        for batch in rows.partitions():
            yield from batch


def _parts(lines: Select[Any], beyond: Place | None) -> list[Select[Any]]:
    """Return what is left to read: those with payments, then those without."""
    payment_id, attendee_id = (0, 0) if beyond is None else beyond
    parts: list[Select[Any]] = []
    if payment_id is not None:
        paid = lines.where(_ATTENDEES.c.payment_id > payment_id)
        parts.append(paid.order_by(_ATTENDEES.c.payment_id, _ATTENDEES.c.id))
        attendee_id = 0
    unpaid = lines.where(_ATTENDEES.c.payment_id.is_(None), _ATTENDEES.c.id > attendee_id)
    return [*parts, unpaid.order_by(_ATTENDEES.c.id)]


def _lines(session: Session, event_id: int) -> Select[Any]:
    return _joined(
        session, event_id, _ATTENDEES.c.id, _ATTENDEES.c.order_id, _ATTENDEES.c.invoice_id,
        _ATTENDEES.c.name, _ATTENDEES.c.email, _ATTENDEES.c.anonymised_at.is_not(None),
        _ATTENDEES.c.locale, _ATTENDEES.c.price_minor, _ATTENDEES.c.refunded_minor,
        _ATTENDEES.c.currency, _STATUS == "checked_in", _PAYMENTS.c.id, *_PAYMENT,
    )  # fmt: skip


def _joined(session: Session, event_id: int, *columns: Any) -> Select[Any]:
    # An outer join although all payments are there: SQLite then begins with the attendees.
    of_attendee = and_(
        _PAYMENTS.c.id == _ATTENDEES.c.payment_id, _PAYMENTS.c.tenant_id == _ATTENDEES.c.tenant_id
    )
    return (
        select(*columns)
        .select_from(_ATTENDEES.outerjoin(_PAYMENTS, of_attendee))
        .where(_ATTENDEES.c.tenant_id == _tenant(session), _ATTENDEES.c.event_id == event_id)
    )


def _line(row: Any) -> Line:
    (
        attendee_id, order_id, invoice_id, name, email, is_anonymised, locale, price, refunded,
        currency, is_checked_in, payment_id, *payment,
    ) = row  # fmt: skip
    return Line(
        attendee_id, order_id, invoice_id, name, None if is_anonymised else email, locale, price,
        refunded, currency, is_checked_in,
        None if payment_id is None else _payment(payment_id, payment),
    )  # fmt: skip


def _payment(payment_id: int, row: Sequence[Any]) -> PaidWith:
    status, amount, taken, currency, provider, account, test_mode = row
    name = circuit_name(provider, account)
    return PaidWith(payment_id, status, amount, taken, currency, name, test_mode)


def circuit_name(provider: str, account: str | None) -> str:
    """Return one word for a provider's account, as runs store which ones they need."""
    return f"{provider}:{account or ''}"
