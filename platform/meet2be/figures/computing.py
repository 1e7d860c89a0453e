"""An event's figures from its ledgers: read as they stood at one moment, never counted up.

Tickets count on the day they were sold and on the day they were cancelled, money on the day it came
in and on the day it went back, all by the event's own time zone, whose days may have 23 or 25
hours. Test orders and test payments count nowhere, and currencies are never added up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.db import Database, snapshot
from meet2be.events.models import Event
from meet2be.figures.models import EventStats, EventStatsDaily, EventStatsTicket
from meet2be.figures.quarters import moment_of, quarter_of
from meet2be.orders.models import Order
from meet2be.payments.models import Payment, Refund
from meet2be.webhooks.publishing import Announcement, publish

ROWS_A_TIME = 5000
_TAKEN = ("succeeded", "disputed")


@dataclass(slots=True)
class Sums:
    """What one day, one kind of ticket, or the whole event adds up to; minor units."""

    sold: int = 0
    cancelled: int = 0
    checked_in: int = 0
    orders: int = 0
    gross_minor: int = 0
    refunded_minor: int = 0
    fees_minor: int = 0


@dataclass(slots=True)
class Figures:
    """Everything about one event, by currency, day and kind of ticket."""

    zone: ZoneInfo
    whole: defaultdict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    days: defaultdict[tuple[date, str], Sums] = field(default_factory=lambda: defaultdict(Sums))
    tickets: defaultdict[tuple[int, str], Sums] = field(default_factory=lambda: defaultdict(Sums))

    def on(self, moment: datetime, currency: str) -> Sums:
        """Return the sums of the day a moment falls on in the event's time zone."""
        return self.days[moment.astimezone(self.zone).date(), currency]

    def within(self, quarter: int, currency: str) -> Sums:
        """Return the sums of the day a quarter of an hour lies in."""
        return self.on(moment_of(quarter), currency)


def compute_tx(database: Database, tenant_id: int, event_uid: str, as_of: datetime) -> bool:
    """Compute an event's figures and keep them unless newer ones are there.

    The ledgers are read without holding anybody up: SQLite has one writer at a time. `as_of` is
    from before that look. False: the event is gone, or somebody with a later look was faster.
    """
    with snapshot(database, tenant_id) as session:  # whoever sells meanwhile
        event = session.scalar(select(Event).where(Event.uid == event_uid))
        if event is None:
            return False
        figures = read(session, event)
    with database.tenant_session(tenant_id) as session:
        # Its row is locked: of two who look at the same time, the later look stays.
        mine = select(Event).where(Event.id == event.id)
        event = session.scalar(mine.with_for_update(key_share=True))
        if event is None or not _is_newest(session, event, as_of):
            return False
        _write(session, event, figures, as_of)
        total = sum(each.sold for each in figures.whole.values())
        gone = sum(each.cancelled for each in figures.whole.values())
        publish(session, _announcement(event, as_of, total, total - gone))
        session.commit()
    return True


def read(session: Session, event: Event) -> Figures:
    """Return the event's figures from its ledgers."""
    figures = Figures(ZoneInfo(event.timezone))
    figures.whole[event.currency]  # an event that sold nothing has figures, too: zeros
    _read_tickets(session, event, figures)
    _read_cancellations(session, event, figures)
    _read_payments(session, event, figures)
    _read_orders(session, event, figures)
    _read_refunds(session, event, figures)
    return figures


def _read_tickets(session: Session, event: Event, figures: Figures) -> None:
    quarter = quarter_of(func.coalesce(Attendee.registered_at, Attendee.created_at))
    kinds = Attendee.ticket_type_id, Attendee.currency, Attendee.status, quarter.label("quarter")
    rows = session.execute(
        select(
            *kinds, func.count().label("sold"), func.sum(Attendee.price_minor).label("gross"),
            func.sum(Attendee.refunded_minor).label("refunded"),
        )
        .where(*_sold_for(event))
        .group_by(*kinds)
        .execution_options(yield_per=ROWS_A_TIME)
    )  # fmt: skip
    for row in rows:
        whole, kind = figures.whole[row.currency], figures.tickets[row.ticket_type_id, row.currency]
        for sums in (whole, kind, figures.within(row.quarter, row.currency)):
            sums.sold += row.sold
        kind.gross_minor += int(row.gross)
        kind.refunded_minor += int(row.refunded)
        if row.status == "checked_in":
            whole.checked_in += row.sold
        if row.status == "cancelled":
            whole.cancelled += row.sold
            kind.cancelled += row.sold


def _read_cancellations(session: Session, event: Event, figures: Figures) -> None:
    when = Attendee.currency, quarter_of(Attendee.cancelled_at).label("quarter")
    rows = session.execute(
        select(*when, func.count().label("cancelled"))
        .where(
            *_sold_for(event), Attendee.status == "cancelled", Attendee.cancelled_at.is_not(None)
        )
        .group_by(*when)
        .execution_options(yield_per=ROWS_A_TIME)
    )
    for row in rows:
        figures.within(row.quarter, row.currency).cancelled += row.cancelled


def _sold_for(event: Event) -> tuple[ColumnElement[bool], ...]:
    tests = select(Order.id).where(Order.event_id == event.id, Order.test_mode)
    return Attendee.event_id == event.id, Attendee.order_id.not_in(tests)


def _read_payments(session: Session, event: Event, figures: Figures) -> None:
    quarter = quarter_of(func.coalesce(Payment.paid_at, Payment.created_at))
    when = Payment.currency, quarter.label("quarter")
    rows = session.execute(
        select(*when, func.sum(Payment.amount_minor).label("gross"))
        .join(Order, Order.id == Payment.order_id)
        .where(
            Order.event_id == event.id,
            Order.test_mode.is_(False),
            Payment.test_mode.is_(False),
            Payment.status.in_(_TAKEN),
        )
        .group_by(*when)
        .execution_options(yield_per=ROWS_A_TIME)
    )
    for row in rows:
        for sums in (figures.whole[row.currency], figures.within(row.quarter, row.currency)):
            sums.gross_minor += int(row.gross)


def _read_orders(session: Session, event: Event, figures: Figures) -> None:
    # A free order is one, too; one whose money came when it was over already is none.
    rows = session.execute(
        select(
            Order.currency, func.count().label("orders"),
            func.sum(func.coalesce(Order.shipping_minor, 0)).label("fees"),
        )
        .where(
            Order.event_id == event.id, Order.test_mode.is_(False), Order.paid_at.is_not(None)
        )
        .group_by(Order.currency)
    )  # fmt: skip
    for row in rows:
        whole = figures.whole[row.currency]
        whole.orders += row.orders
        whole.fees_minor += int(row.fees)


def _read_refunds(session: Session, event: Event, figures: Figures) -> None:
    for amount, currency, quarter in refunds_made(session, event):
        figures.whole[currency].refunded_minor += amount
        figures.within(quarter, currency).refunded_minor += amount


def refunds_made(session: Session, event: Event) -> Iterable[tuple[int, str, int]]:
    """Yield what the ledger has as sent back: amount, currency, and quarter of an hour."""
    quarter = quarter_of(func.coalesce(Refund.settled_at, Refund.updated_at))
    when = Refund.currency, quarter.label("quarter")
    rows = session.execute(
        select(*when, func.sum(Refund.amount_minor).label("amount"))
        .join(Order, Order.id == Refund.order_id)
        .outerjoin(Payment, Payment.id == Refund.payment_id)
        .where(
            Order.event_id == event.id,
            Order.test_mode.is_(False),
            Payment.test_mode.is_not(True),
            Refund.status == "succeeded",
        )
        .group_by(*when)
        .execution_options(yield_per=ROWS_A_TIME)
    )
    for row in rows:
        yield int(row.amount), row.currency, row.quarter


def _is_newest(session: Session, event: Event, as_of: datetime) -> bool:
    """Tell whether nobody has a later look."""
    mine = select(EventStats.as_of).where(EventStats.event_id == event.id)
    return all(looked <= as_of for looked in session.scalars(mine))


def _write(session: Session, event: Event, figures: Figures, as_of: datetime) -> None:
    mine = select(EventStats.run_no).where(EventStats.event_id == event.id)
    run_no = 1 + max(session.scalars(mine), default=0)
    for model in (EventStatsDaily, EventStatsTicket, EventStats):
        session.execute(
            delete(model)
            .where(model.event_id == event.id)
            .execution_options(synchronize_session=False)
        )
    session.expunge_all()
    session.add_all(
        EventStats(
            event_id=event.id, currency=currency, sold=each.sold, cancelled=each.cancelled,
            checked_in=each.checked_in, orders=each.orders, gross_minor=each.gross_minor,
            refunded_minor=each.refunded_minor, fees_minor=each.fees_minor, as_of=as_of,
            run_no=run_no,
        )
        for currency, each in figures.whole.items()
    )  # fmt: skip
    session.add_all(
        EventStatsDaily(
            event_id=event.id, day=day, currency=currency, sold=each.sold,
            cancelled=each.cancelled, gross_minor=each.gross_minor,
            refunded_minor=each.refunded_minor,
        )
        for (day, currency), each in figures.days.items()
    )  # fmt: skip
    session.add_all(
        EventStatsTicket(
            event_id=event.id, ticket_type_id=ticket, currency=currency, sold=each.sold,
            cancelled=each.cancelled, gross_minor=each.gross_minor,
            refunded_minor=each.refunded_minor,
        )
        for (ticket, currency), each in figures.tickets.items()
    )  # fmt: skip


def _announcement(event: Event, as_of: datetime, sold: int, attendees: int) -> Announcement:
    return Announcement(
        type="event.statistics_updated",
        subject_type="event",
        subject_uid=event.uid,
        event_id=event.id,
        data={"as_of": as_of.isoformat(), "sold": sold, "attendees": attendees},
        dedupe_key=f"event.statistics_updated:{event.uid}:{as_of.isoformat()}",
        occurred_at=as_of,
    )
