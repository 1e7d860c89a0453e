"""Kinds of tickets: making them, changing, closing and sorting them.

The verbs work in the tenant's own session and commit nothing. Order of locks: the event's row, then
the kind's. What was sold stays: prices are for orders to come, and a quota never falls below what
is sold or set aside (the database would refuse that too).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be.audit.services import Actor
from meet2be.db import clock_of
from meet2be.db.columns import new_uid
from meet2be.events.listing import ticket_types
from meet2be.events.models import Event, TicketType
from meet2be.language import Message
from meet2be.money import movable, odd_price
from meet2be.programme.errors import EntryRefused, NotInState, UnknownEntry
from meet2be.programme.events import MOST_PLACES, check_open, check_window, locked_event
from meet2be.programme.telling import changes, tell
from meet2be.programme.texts import needed_line

LONGEST_NAME: Final = 120
MOST_KINDS: Final = 100
HIGHEST_PRICE: Final = 10**12
"""In minor units; far above any ticket, and far below what the database's integers hold."""


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """A kind of ticket as somebody wants it; the price in minor units of the event's currency."""

    name: str
    price_minor: int
    quota: int
    tax_bp: int = 0
    on_sale_from: datetime | None = None
    on_sale_until: datetime | None = None
    is_hidden: bool = False
    is_shipped: bool = False


def draft_of(ticket: TicketType) -> TicketDraft:
    """Return a kind of ticket as it stands, as a draft."""
    return TicketDraft(**{name: getattr(ticket, name) for name in TicketDraft.__slots__})


def find_ticket(session: Session, uid: str) -> tuple[TicketType, Event]:
    """Return a kind of ticket and its event; raises ``UnknownEntry``."""
    ticket = session.scalar(select(TicketType).where(TicketType.uid == uid))
    if ticket is None:
        raise UnknownEntry(uid)
    return ticket, session.get_one(Event, ticket.event_id)


def create_ticket(session: Session, event_uid: str, draft: TicketDraft, actor: Actor) -> TicketType:
    """Return a new kind of ticket, the last of its event.

    Raises ``UnknownEntry``, ``EntryRefused``, and ``NotInState`` for a cancelled event.
    """
    event = locked_event(session, event_uid)
    check_open(event)
    wanted = _checked(draft, event)
    known = ticket_types(session, event.id)
    if len(known) >= MOST_KINDS:
        raise NotInState(Message("An event has at most %(most)s ticket types.",
                                 {"most": MOST_KINDS}))  # fmt: skip
    last = max((each.position for each in known), default=-1)
    ticket = TicketType(uid=new_uid(), event_id=event.id, position=last + 1, **asdict(wanted))
    session.add(ticket)
    _write(session, ticket)
    tell(session, ticket, "created", actor, after=asdict(wanted), data=_told(ticket, event))
    return ticket


def change_ticket(
    session: Session,
    uid: str,
    wishes: Mapping[str, Any],
    actor: Actor,
    look: Callable[[TicketType, Event], None] | None = None,
) -> TicketType:
    """Change what ``wishes`` name of a kind of ticket, by a draft's fields, and return it.

    ``look`` is shown the kind and its event as they stand, while their rows are held, and may
    raise. Else raises as ``create_ticket``.
    """
    ticket, event = locked_ticket(session, uid)
    if look is not None:
        look(ticket, event)
    wanted = _checked(replace(draft_of(ticket), **wishes), event, ticket.price_minor)
    gone = ticket.sold + ticket.held
    if wanted.quota < gone:
        numbers = {"sold": ticket.sold, "held": ticket.held}
        why = Message(
            "%(sold)s are sold and %(held)s set aside, so there cannot be fewer.", numbers
        )
        raise EntryRefused("quota", why)
    if wanted.is_shipped != ticket.is_shipped and gone:
        why = Message("Tickets of this kind were ordered already, so how they arrive stays.")
        raise EntryRefused("is_shipped", why)
    before, after = changes(ticket, asdict(wanted))
    for name, value in after.items():
        setattr(ticket, name, value)
    if after:
        _write(session, ticket)
        tell(session, ticket, "updated", actor, before=before, after=after,
             data={**_told(ticket, event), "changed": sorted(after)})  # fmt: skip
    return ticket


def close_ticket(session: Session, uid: str, actor: Actor) -> TicketType:
    """Sell no more of a kind; what is sold or set aside stays. Raises ``NotInState``."""
    ticket, event = locked_ticket(session, uid)
    if ticket.closed_at is not None:
        raise NotInState(Message("This kind is closed already."))
    ticket.closed_at = clock_of(session).now()
    tell(session, ticket, "closed", actor, after={"name": ticket.name}, data=_told(ticket, event))
    return ticket


def reopen_ticket(session: Session, uid: str, actor: Actor) -> TicketType:
    """Sell a closed kind again; raises ``NotInState``."""
    ticket, event = locked_ticket(session, uid)
    if ticket.closed_at is None:
        raise NotInState(Message("This kind is not closed."))
    ticket.closed_at = None
    tell(session, ticket, "reopened", actor, after={"name": ticket.name}, data=_told(ticket, event))
    return ticket


def move_ticket(
    session: Session, uid: str, where: Literal["up", "down"], actor: Actor
) -> TicketType:
    """Move a kind one place up or down; at an end it stays. Raises as ``change_ticket``."""
    ticket, event = locked_ticket(session, uid)
    row = ticket_types(session, event.id)
    place = row.index(ticket)
    other = place + (-1 if where == "up" else 1)
    if not 0 <= other < len(row):
        return ticket
    row[place], row[other] = row[other], row[place]
    for position, each in enumerate(row, start=1):
        each.position = position
    data = {**_told(ticket, event), "changed": ["position"]}
    tell(session, ticket, "updated", actor, after={"position": ticket.position}, data=data)
    return ticket


def locked_ticket(session: Session, uid: str) -> tuple[TicketType, Event]:
    """Return a kind whose row, and whose event's row, are held.

    Raises ``UnknownEntry``, and ``NotInState`` for a cancelled event.
    """
    found, known = find_ticket(session, uid)
    event = locked_event(session, known.uid)
    check_open(event)
    mine = select(TicketType).where(TicketType.id == found.id).with_for_update()
    ticket = session.scalars(mine.execution_options(populate_existing=True)).one()
    return ticket, event


def _checked(draft: TicketDraft, event: Event, present: int = 0) -> TicketDraft:
    """Return a draft in its normal form; raises ``EntryRefused``.

    A price that no card can move is let be where it is the ``present`` one.
    """
    price = draft.price_minor
    if not 0 <= price <= HIGHEST_PRICE:
        raise EntryRefused("price", Message("Give a price from 0 on."))
    if price != present and price != movable(price, event.currency):
        raise EntryRefused("price", odd_price(event.currency))
    if not 0 <= draft.tax_bp <= 10_000:
        raise EntryRefused("tax", Message("Give a tax rate from 0 to 100 per cent."))
    if not 0 <= draft.quota <= MOST_PLACES:
        raise EntryRefused("quota", Message("Give a number of tickets from 0 on."))
    check_window(draft.on_sale_from, draft.on_sale_until)
    return replace(draft, name=needed_line("name", draft.name, LONGEST_NAME))


def _write(session: Session, ticket: TicketType) -> None:
    """Send a kind to the database; raises ``EntryRefused`` for a name that the event has."""
    alike = (TicketType.event_id == ticket.event_id, TicketType.name == ticket.name)
    with session.no_autoflush:
        taken = session.scalar(select(exists().where(*alike, TicketType.uid != ticket.uid)))
    if taken:
        raise EntryRefused("name", Message("The event has a kind of this name already."))
    try:
        session.flush()
    except IntegrityError as error:
        raise EntryRefused("name", Message("The event has a kind of this name already.")) from error


def _told(ticket: TicketType, event: Event) -> dict[str, object]:
    return {
        "price_minor": ticket.price_minor,
        "currency": event.currency,
        "quota": ticket.quota,
        "sold": ticket.sold,
        "closed": ticket.closed_at is not None,
    }
