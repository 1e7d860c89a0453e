"""Events as pages show them: the list, one event, and what it adds up to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from meet2be.attendees.models import ATTENDEE_STATUSES, Attendee
from meet2be.db.keyset import Order, Page, Slice, fetch_page
from meet2be.events.models import Event, TicketType

NEWEST_FIRST = Order((Event.starts_at, Event.id), descending=True)


@dataclass(frozen=True, slots=True)
class EventFigures:
    """What an event's attendees add up to; sums in minor units by currency."""

    statuses: dict[str, int] = field(default_factory=dict)
    charged_minor: dict[str, int] = field(default_factory=dict)
    refunded_minor: dict[str, int] = field(default_factory=dict)

    @property
    def attendees(self) -> int:
        """Everybody, also those whose ticket was cancelled."""
        return sum(self.statuses.values())

    @property
    def coming(self) -> int:
        """Those whose ticket is good."""
        return self.attendees - self.statuses.get("cancelled", 0)


def events_page(session: Session, part: Slice, *, archived: bool = False) -> Page:
    """Return a page of the tenant's events, or of those in its archive, the latest first."""
    is_archived = Event.status == "archived"
    wanted = select(Event).where(is_archived if archived else ~is_archived)
    return fetch_page(session, wanted, NEWEST_FIRST, part)


def has_archive(session: Session) -> bool:
    """Tell whether the tenant has put any event into its archive."""
    return bool(session.scalar(select(exists().where(Event.status == "archived"))))


def find_event(session: Session, uid: str) -> Event | None:
    """Return the tenant's event of that name."""
    return session.scalar(select(Event).where(Event.uid == uid))


def position_of(session: Session, uid: str) -> tuple[object, ...] | None:
    """Return where an event stands in the list; None when it is gone."""
    event = find_event(session, uid)
    return None if event is None else (event.starts_at, event.id)


def count_events(session: Session) -> int:
    """Return how many of the tenant's events count towards its limit: all but archived ones."""
    wanted = select(func.count(Event.id)).where(Event.status != "archived")
    return session.scalar(wanted) or 0


def test_events(session: Session, most: int) -> Sequence[Event]:
    """Return the newest of the events that are tests, but for archived ones."""
    mine = select(Event).where(Event.test_mode, Event.status != "archived")
    return session.scalars(mine.order_by(Event.id.desc()).limit(most)).all()


def sold_tickets(session: Session, event_ids: list[int]) -> dict[int, int]:
    """Return by event how many tickets were sold, as the ticket types know it."""
    rows = session.execute(
        select(TicketType.event_id, func.sum(TicketType.sold))
        .where(TicketType.event_id.in_(event_ids))
        .group_by(TicketType.event_id)
    )
    return {event_id: int(sold) for event_id, sold in rows}


def ticket_types(session: Session, event_id: int) -> list[TicketType]:
    """Return the event's kinds of tickets as the organiser sorted them, else the dearest first."""
    by = (TicketType.position, TicketType.price_minor.desc(), TicketType.name)
    mine = select(TicketType).where(TicketType.event_id == event_id)
    return list(session.scalars(mine.order_by(*by)))


def figures(session: Session, event_id: int) -> EventFigures:
    """Return what the event adds up to; reads an index over each of its attendees once."""
    found = EventFigures()
    for status in ATTENDEE_STATUSES:
        for currency in _currencies(session, event_id, status):
            number, charged, refunded = session.execute(
                select(
                    func.count(),
                    func.sum(Attendee.price_minor),
                    func.sum(Attendee.refunded_minor),
                ).where(
                    Attendee.event_id == event_id,
                    Attendee.status == status,
                    Attendee.currency == currency,
                )
            ).one()
            found.statuses[status] = found.statuses.get(status, 0) + number
            for sums, amount in ((found.charged_minor, charged), (found.refunded_minor, refunded)):
                sums[currency] = sums.get(currency, 0) + int(amount)
    return found


def _currencies(session: Session, event_id: int, status: str) -> Iterator[str]:
    """Yield the currencies of those in a state, each found by one step in the index."""
    smallest = select(func.min(Attendee.currency)).where(
        Attendee.event_id == event_id, Attendee.status == status
    )
    currency = session.scalar(smallest)
    while currency is not None:
        yield currency
        currency = session.scalar(smallest.where(Attendee.currency > currency))
