"""Stock: each move is a guarded UPDATE and a row that makes it happen once.

The database's CHECK refuses what the guard would let through. Order of locks: the order's row, the
event's where its places are limited, then ticket types by number. A new order is written after the
event is held, as writing it takes a share of the event's row, which two orders would both have.
Locks of orders, their payments and attendees (``key_share``) let rows be written that refer to
them: whoever begins to cancel the event does so while holding the event an order's step waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, func, select, update
from sqlalchemy.orm import Session

from meet2be.checkout.errors import SoldOut
from meet2be.events.models import Event, TicketType
from meet2be.orders.models import Order, OrderLine, StockMove


def lines_of(session: Session, order_id: int) -> Sequence[OrderLine]:
    """Return an order's lines in the order in which their stock is locked."""
    mine = select(OrderLine).where(OrderLine.order_id == order_id)
    return session.scalars(mine.order_by(OrderLine.ticket_type_id)).all()


def check_room(session: Session, event_id: int, number: int) -> None:
    """Raise ``SoldOut`` when an event has not so many places left over all of its kinds.

    Where places are limited the event's row is held, so that two orders count one after the other.
    """
    event = hold_places(session, event_id)
    if event.capacity is None:
        return
    mine = TicketType.event_id == event_id
    gone = session.scalar(select(func.sum(TicketType.held + TicketType.sold)).where(mine)) or 0
    if gone + number > event.capacity:
        raise SoldOut(event.title)


def hold_places(session: Session, event_id: int) -> Event:
    """Return an event as it stays until the commit: nobody changes it meanwhile.

    Where its places are limited nobody else holds its row; what only refers to it goes on.
    """
    is_shared = session.get_one(Event, event_id).capacity is None
    mine = select(Event).where(Event.id == event_id)
    locked = mine.with_for_update(read=is_shared, key_share=True)
    return session.scalars(locked.execution_options(populate_existing=True)).one()


def hold(session: Session, order: Order, lines: Sequence[OrderLine], until: datetime) -> None:
    """Set the tickets of a new order aside; raises ``SoldOut``, and then nothing may stand."""
    for line in sorted(lines, key=lambda each: each.ticket_type_id):
        taken = _change(
            session,
            line.ticket_type_id,
            TicketType.held + TicketType.sold + line.quantity <= TicketType.quota,
            held=TicketType.held + line.quantity,
        )
        if not taken:
            raise SoldOut(session.get_one(TicketType, line.ticket_type_id).name)
        _write(session, order, line, "hold", until)


def sell(session: Session, order: Order) -> list[TicketType]:
    """Turn what is held into sold, or take it from what is free; return what is sold out by it.

    Raises ``SoldOut`` when a hold has expired and others were faster; then nothing may stand.
    """
    gone = []
    for line in lines_of(session, order.id):
        moves = _moves(session, order, line)
        if "commit" in moves:
            continue
        if _is_held(moves):
            change = {
                "held": TicketType.held - line.quantity,
                "sold": TicketType.sold + line.quantity,
            }
            guard: ColumnElement[bool] = TicketType.held >= line.quantity
        else:
            change = {"sold": TicketType.sold + line.quantity}
            guard = TicketType.held + TicketType.sold + line.quantity <= TicketType.quota
            check_room(session, order.event_id, line.quantity)
        ticket = session.get_one(TicketType, line.ticket_type_id)
        if not _change(session, line.ticket_type_id, guard, **change):
            raise SoldOut(ticket.name)
        _write(session, order, line, "commit")
        session.refresh(ticket)
        if ticket.sold >= ticket.quota:
            gone.append(ticket)
    return gone


def release(session: Session, order: Order) -> bool:
    """Give back what is held and was not sold; tells whether there was anything."""
    was_held = False
    for line in lines_of(session, order.id):
        moves = _moves(session, order, line)
        if not _is_held(moves) or "commit" in moves:
            continue
        less = TicketType.held - line.quantity
        _change(session, line.ticket_type_id, TicketType.held >= line.quantity, held=less)
        _write(session, order, line, "release")
        was_held = True
    return was_held


def give_back(session: Session, order_id: int, ticket_type_id: int, quantity: int = 1) -> None:
    """Put sold tickets back on sale. The caller has made sure, under a lock, that it is once."""
    less = TicketType.sold - quantity
    _change(session, ticket_type_id, TicketType.sold >= quantity, sold=less)
    key = (
        StockMove.order_id == order_id,
        StockMove.ticket_type_id == ticket_type_id,
        StockMove.kind == "return",
    )
    move = session.scalar(select(StockMove).where(*key).with_for_update())
    if move is None:
        session.add(
            StockMove(
                order_id=order_id, ticket_type_id=ticket_type_id, kind="return", quantity=quantity
            )
        )
    else:
        move.quantity += quantity
    session.flush()


def _is_held(moves: set[str]) -> bool:
    return "hold" in moves and "release" not in moves


def _moves(session: Session, order: Order, line: OrderLine) -> set[str]:
    mine = (StockMove.order_id == order.id, StockMove.ticket_type_id == line.ticket_type_id)
    return set(session.scalars(select(StockMove.kind).where(*mine)))


def _change(session: Session, ticket: int, guard: ColumnElement[bool], **values: Any) -> bool:
    changed = session.execute(
        update(TicketType)
        .where(TicketType.id == ticket, guard)
        .values(values)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", changed).rowcount == 1


def _write(
    session: Session, order: Order, line: OrderLine, kind: str, until: datetime | None = None
) -> None:
    session.add(
        StockMove(
            order_id=order.id,
            ticket_type_id=line.ticket_type_id,
            kind=kind,
            quantity=line.quantity,
            expires_at=until,
        )
    )
    session.flush()
