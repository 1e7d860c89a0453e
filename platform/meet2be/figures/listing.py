"""An event's kept figures as its page and the API show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.events.models import Event, TicketType
from meet2be.figures.models import EventStats, EventStatsDaily, EventStatsTicket

MOST_BARS = 62


@dataclass(frozen=True, slots=True)
class Span:
    """The days from `first` to `last`, both included, and what they add up to; minor units."""

    first: date
    last: date
    sold: int = 0
    cancelled: int = 0
    gross_minor: int = 0
    refunded_minor: int = 0

    @property
    def net_minor(self) -> int:
        """What is left; negative where more went back than came in."""
        return self.gross_minor - self.refunded_minor


@dataclass(frozen=True, slots=True)
class CurrencyFigures:
    """The figures of one currency: in all, over time, and by kind of ticket."""

    whole: EventStats
    spans: Sequence[Span]
    tickets: Sequence[tuple[TicketType, EventStatsTicket]]

    @property
    def days_a_span(self) -> int:
        """How many days stand together in one bar."""
        return 1 + (self.spans[0].last - self.spans[0].first).days if self.spans else 1


@dataclass(frozen=True, slots=True)
class EventFigures:
    """All figures of an event; `as_of` is when they were looked at, None for never."""

    as_of: datetime | None
    currencies: Sequence[CurrencyFigures]


def figures_of(session: Session, event: Event) -> EventFigures:
    """Return an event's kept figures."""
    wholes = session.scalars(
        select(EventStats).where(EventStats.event_id == event.id).order_by(EventStats.currency)
    ).all()
    found = []
    for whole in wholes:
        days = session.scalars(
            select(EventStatsDaily)
            .where(EventStatsDaily.event_id == event.id, EventStatsDaily.currency == whole.currency)
            .order_by(EventStatsDaily.day)
        ).all()
        tickets = session.execute(
            select(TicketType, EventStatsTicket)
            .join(EventStatsTicket, EventStatsTicket.ticket_type_id == TicketType.id)
            .where(
                EventStatsTicket.event_id == event.id,
                EventStatsTicket.currency == whole.currency,
            )
            .order_by(EventStatsTicket.sold.desc(), TicketType.name)
        ).all()
        pairs = [(ticket, stats) for ticket, stats in tickets]
        found.append(CurrencyFigures(whole, spans_of(days), pairs))
    as_of = max((whole.as_of for whole in wholes), default=None)
    return EventFigures(as_of, found)


def spans_of(days: Sequence[EventStatsDaily]) -> list[Span]:
    """Return days in at most `MOST_BARS` spans of the same length, those without anything too."""
    if not days:
        return []
    first, last = days[0].day, days[-1].day
    length = 1 + (last - first).days // MOST_BARS
    sums: dict[int, list[int]] = {}
    for day in days:
        at = (day.day - first).days // length
        row = sums.setdefault(at, [0, 0, 0, 0])
        for place, value in enumerate(
            (day.sold, day.cancelled, day.gross_minor, day.refunded_minor)
        ):
            row[place] += value
    spans = []
    for at in range((last - first).days // length + 1):
        start = first + timedelta(days=at * length)
        end = start + timedelta(days=length - 1)
        spans.append(Span(start, end, *sums.get(at, (0, 0, 0, 0))))
    return spans
