"""Numbers without gaps, and credit notes, written in the commit that knows the refund is done.

The statements are Core on the session's connection, each with its tenant: they run for many rows
at a time, and ORM bulk statements would double the cost of a refund.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, bindparam, case, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.db.columns import new_uid
from meet2be.db.hints import unindexed
from meet2be.invoices.models import Invoice, NumberSeries

CREDIT_NOTE = "credit_note"
_INVOICES = cast("Table", Invoice.__table__)
_SERIES = cast("Table", NumberSeries.__table__)
_ATTENDEES = cast("Table", Attendee.__table__)
# By their uid, as SQLite does not return rows in the order they were given.
_INSERT = insert(_INVOICES).returning(_INVOICES.c.id, _INVOICES.c.uid)


@dataclass(frozen=True, slots=True)
class CreditNote:
    """A credit note to be issued for one refund, in minor units."""

    event_id: int
    order_id: int
    invoice_id: int
    amount_minor: int
    currency: str


def issue_credit_notes(
    connection: Connection, tenant_id: int, notes: Sequence[CreditNote], now: datetime, zone: str
) -> list[int]:
    """Insert the notes and return their ids, in order.

    The numbers are taken under a row lock that is held until the commit: a roll-back gives them
    back, so there is never a gap. `zone` decides which year it is for the tenant.
    """
    if not notes:
        return []
    year = now.astimezone(ZoneInfo(zone)).year
    first = _take_numbers(connection, tenant_id, year, len(notes))
    rows = [
        {
            "uid": new_uid(),
            "tenant_id": tenant_id,
            "event_id": note.event_id,
            "order_id": note.order_id,
            "parent_id": note.invoice_id,
            "number": f"CN-{year}-{first + offset:05d}",
            "kind": CREDIT_NOTE,
            "total_minor": note.amount_minor,
            "currency": note.currency,
            "status": "paid",
            "issued_at": now,
        }
        for offset, note in enumerate(notes)
    ]
    inserted = {row.uid: row.id for row in connection.execute(_INSERT, rows)}
    return [inserted[row["uid"]] for row in rows]


def issue_invoice(session: Session, tenant_id: int, now: datetime, zone: str) -> str:
    """Return the next free number of an invoice, taken with the caller's commit.

    Numbers that came with an imported list are passed over.
    """
    year, connection = now.astimezone(ZoneInfo(zone)).year, session.connection()
    while True:
        number = f"INV-{year}-{_take_numbers(connection, tenant_id, year, 1, 'invoice'):05d}"
        taken = select(_INVOICES.c.id).where(
            _INVOICES.c.tenant_id == tenant_id, _INVOICES.c.number == number
        )
        if connection.execute(taken).first() is None:
            return number


def void_credit_notes(connection: Connection, tenant_id: int, ids: Sequence[int]) -> None:
    """Mark notes whose refund came back as void; their numbers stay taken."""
    connection.execute(
        update(_INVOICES)
        .where(
            _INVOICES.c.tenant_id == tenant_id,
            _INVOICES.c.id.in_(ids),
            _INVOICES.c.kind == CREDIT_NOTE,
        )
        .values(status="void")
    )


_BACK = (
    select(func.coalesce(func.sum(_ATTENDEES.c.refunded_minor), 0))
    .where(
        _ATTENDEES.c.tenant_id == _INVOICES.c.tenant_id,
        _ATTENDEES.c.invoice_id == _INVOICES.c.id,
    )
    .scalar_subquery()
)
_RESTATE = (
    update(_INVOICES)
    .where(
        unindexed(_INVOICES.c.tenant_id) == bindparam("tenant"),
        _INVOICES.c.id.in_(bindparam("ids", expanding=True)),
        _INVOICES.c.kind == "invoice",
        _INVOICES.c.status.in_(("paid", "part_refunded", "refunded")),
    )
    .values(
        status=case(
            (_INVOICES.c.total_minor <= _BACK, "refunded"),
            (_BACK > 0, "part_refunded"),
            else_="paid",
        )
    )
)


def restate_invoices(connection: Connection, tenant_id: int, ids: Sequence[int]) -> None:
    """Set invoices to paid, part refunded or refunded by what their attendees got back."""
    if ids:
        connection.execute(_RESTATE, {"tenant": tenant_id, "ids": sorted(set(ids))})


_RAISE = (
    update(_SERIES)
    .where(
        _SERIES.c.tenant_id == bindparam("tenant"),
        _SERIES.c.kind == bindparam("of_kind"),
        _SERIES.c.year == bindparam("of_year"),
    )
    .values(next=_SERIES.c.next + bindparam("count"))
    .returning(_SERIES.c.next)
)


def _take_numbers(
    connection: Connection, tenant_id: int, year: int, count: int, kind: str = CREDIT_NOTE
) -> int:
    """Return the first of `count` numbers, all taken with the transaction's commit."""
    values = {"tenant": tenant_id, "of_kind": kind, "of_year": year, "count": count}
    after = connection.execute(_RAISE, values).scalar_one_or_none()
    if after is None:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        key = {"tenant_id": tenant_id, "kind": kind, "year": year}
        start = dialect.insert(_SERIES).values(**key, next=1).on_conflict_do_nothing()
        connection.execute(start)
        after = connection.execute(_RAISE, values).scalar_one()
    return int(after) - count
