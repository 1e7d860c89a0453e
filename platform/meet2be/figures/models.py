"""Tables of what an event sold: in all, by day, by kind of ticket; computed, never counted up."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Date, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import Base, Numbered, TenantOwned, belongs_to
from meet2be.db.columns import currency_code


class EventStats(Numbered, TenantOwned, Base):
    """What an event's ledgers add up to in one currency, in minor units, as of a moment.

    Refunds count on the day they were made; test orders not at all. `fees_minor` is what buyers
    paid beyond their tickets, such as postage; `orders` those that came about, free ones among
    them. `run_no` rises with each computation.
    """

    __tablename__ = "event_stats"
    __table_args__ = (belongs_to("events", "event_id"), UniqueConstraint("event_id", "currency"))

    event_id: Mapped[int]
    currency: Mapped[str] = mapped_column(currency_code())
    sold: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    checked_in: Mapped[int] = mapped_column(default=0)
    orders: Mapped[int] = mapped_column(default=0)
    gross_minor: Mapped[int] = mapped_column(default=0)
    refunded_minor: Mapped[int] = mapped_column(default=0)
    fees_minor: Mapped[int] = mapped_column(default=0)
    as_of: Mapped[datetime]
    run_no: Mapped[int] = mapped_column(default=1)


class EventStatsDaily(Numbered, TenantOwned, Base):
    """The same for one day of the event's time zone; days without anything have no row."""

    __tablename__ = "event_stats_daily"
    __table_args__ = (
        belongs_to("events", "event_id"),
        UniqueConstraint("event_id", "day", "currency"),
    )

    event_id: Mapped[int]
    day: Mapped[date] = mapped_column(Date)
    currency: Mapped[str] = mapped_column(currency_code())
    sold: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    gross_minor: Mapped[int] = mapped_column(default=0)
    refunded_minor: Mapped[int] = mapped_column(default=0)


class EventStatsTicket(Numbered, TenantOwned, Base):
    """The same for one kind of ticket."""

    __tablename__ = "event_stats_tickets"
    __table_args__ = (
        belongs_to("events", "event_id"),
        belongs_to("ticket_types", "ticket_type_id"),
        UniqueConstraint("event_id", "ticket_type_id", "currency"),
    )

    event_id: Mapped[int]
    ticket_type_id: Mapped[int]
    currency: Mapped[str] = mapped_column(currency_code())
    sold: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    gross_minor: Mapped[int] = mapped_column(default=0)
    refunded_minor: Mapped[int] = mapped_column(default=0)
