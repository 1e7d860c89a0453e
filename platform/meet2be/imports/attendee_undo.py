"""Taking an import's attendees back, as far as nobody has changed anything since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import case, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be.attendees.keys import keys_of
from meet2be.attendees.models import Attendee
from meet2be.db import clock_of
from meet2be.events.models import TicketType
from meet2be.imports.outcomes import Outcome, Written
from meet2be.invoices.models import Invoice
from meet2be.language import Message
from meet2be.orders.models import Order
from meet2be.payments.models import Payment

CHANGED_AT: Final = "updated_at"
"""Where a row keeps when its attendee had been changed before; rows of old imports lack it."""
_QUIET = {"synchronize_session": False}


def undo_attendees(session: Session, rows: Sequence[Written]) -> list[Outcome]:
    """Remove the created and restore the updated; an order goes as a whole or stays."""
    outcomes = {row.row_no: Outcome(row.row_no, "undone") for row in rows}
    wanted = [row.entity_id for row in rows]
    # Nobody changes them between this look and their removal.
    found = session.scalars(
        select(Attendee).where(Attendee.id.in_(wanted)).order_by(Attendee.id).with_for_update()
    )
    people = {attendee.id: attendee for attendee in found}
    kept: dict[int, Message] = {}
    for row in rows:
        attendee = people.get(row.entity_id)
        if attendee is not None and attendee.updated_at != row.entity_at:
            why = _why_kept(row, attendee)
            outcomes[row.row_no].refuse("kept", "", attendee.name, why)
            kept[attendee.order_id] = why
    for row in rows:
        attendee = people.get(row.entity_id)
        if row.state == "updated" and attendee is not None and row.before is not None:
            _restore(session, outcomes[row.row_no], attendee, row.before)
    created = [
        (row, people[row.entity_id])
        for row in rows
        if row.state == "created" and row.entity_id in people
    ]
    orders = {attendee.order_id for _, attendee in created}
    removable = sorted(orders - kept.keys() - _changed_orders(session, orders, created))
    gone = set(_remove_together(session, removable))
    for row, attendee in created:
        outcome = outcomes[row.row_no]
        if attendee.order_id not in gone and outcome.state != "kept":
            why = Message("its order was changed or used after the import, so it stays.")
            outcome.refuse("kept", "", attendee.name, why)
    return list(outcomes.values())


def _why_kept(row: Written, attendee: Attendee) -> Message:
    """Return what was done with a ticket since the import, as far as its row tells."""
    if row.state == "created":  # of those who were here before nobody knows when it was
        if attendee.refunded_minor:
            return Message("the ticket was refunded after the import, so it stays.")
        if attendee.status == "cancelled":
            return Message("the ticket was cancelled after the import, so it stays.")
        if attendee.status == "checked_in":
            return Message("the ticket was checked in after the import, so it stays.")
    return Message("was changed after the import, so it stays.")


def lower_quotas(session: Session, raised: Mapping[str, int]) -> None:
    """Lower quotas by what a chunk raised them, never below what is held and sold.

    A kind of ticket that only this import used has a quota of 0 in the end.
    """
    taken = TicketType.held + TicketType.sold
    for kind, lacking in sorted((int(kind), by) for kind, by in raised.items()):
        lower = TicketType.quota - lacking
        session.execute(
            update(TicketType)
            .where(TicketType.id == kind)
            .values(quota=case((lower > taken, lower), else_=taken)),
            execution_options=_QUIET,
        )


def _restore(
    session: Session, outcome: Outcome, attendee: Attendee, before: dict[str, Any]
) -> None:
    if outcome.state == "kept":
        return
    # As of when it stands again what stood then, an import before this one can be undone, too.
    as_of = before.get(CHANGED_AT)
    at = datetime.fromisoformat(as_of) if as_of else clock_of(session).now()
    was = {name: value for name, value in before.items() if name != CHANGED_AT}
    session.execute(
        update(Attendee)
        .where(Attendee.id == attendee.id)
        .values(**was, **keys_of(was), updated_at=at),
        execution_options=_QUIET,
    )


def _changed_orders(
    session: Session, orders: set[int], created: Sequence[tuple[Written, Attendee]]
) -> set[int]:
    """Return the orders that were touched, or that hold people who did not come with the list."""
    ours = Counter(attendee.order_id for _, attendee in created)
    held = Counter(session.scalars(select(Attendee.order_id).where(Attendee.order_id.in_(orders))))
    looked_at = session.execute(
        select(Order.id, Order.created_at, Order.updated_at)
        .where(Order.id.in_(orders))
        .order_by(Order.id)
        .with_for_update()
    )
    touched = {order for order, created_at, updated_at in looked_at if updated_at != created_at}
    paid_since = set(
        session.scalars(
            select(Payment.order_id).where(
                Payment.order_id.in_(orders), Payment.updated_at != Payment.created_at
            )
        )
    )
    return touched | paid_since | {order for order, count in held.items() if count != ours[order]}


def _remove_together(session: Session, orders: Sequence[int]) -> list[int]:
    """Remove the orders and return which are gone; what others refer to is not."""
    if not orders:
        return []
    if _removed(session, orders):
        return list(orders)
    return [order for order in orders if _removed(session, [order])]


def _removed(session: Session, orders: Sequence[int]) -> bool:
    try:
        with session.begin_nested():
            sold = Counter(
                session.scalars(
                    select(Attendee.ticket_type_id).where(Attendee.order_id.in_(orders))
                )
            )
            for model in (Attendee, Payment, Invoice):
                session.execute(
                    delete(model).where(model.order_id.in_(orders)), execution_options=_QUIET
                )
            session.execute(delete(Order).where(Order.id.in_(orders)), execution_options=_QUIET)
            for kind, count in sorted(sold.items()):  # as whoever sells tickets locks them
                session.execute(
                    update(TicketType)
                    .where(TicketType.id == kind)
                    .values(sold=TicketType.sold - count),
                    execution_options=_QUIET,
                )
    except IntegrityError:
        return False
    return True
