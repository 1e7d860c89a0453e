"""Table of attendees."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import (
    Base,
    Named,
    Numbered,
    Stamped,
    TenantOwned,
    belongs_to,
    parent_key,
)
from meet2be.db.columns import currency_code, one_of

ATTENDEE_STATUSES = ("active", "cancelled", "checked_in", "transferred")


class Attendee(Numbered, Named, TenantOwned, Stamped, Base):
    """A person with a ticket.

    `price_minor` is this ticket's line on the invoice `invoice_id`, in minor units of
    `currency`; `refunded_minor` is what of it has been paid back; `payment_id` is the payment
    it was settled with, shared with the order's other tickets. A free ticket has neither invoice
    nor payment. `email` is empty when no usable address is known: nothing is ever mailed to a
    guess.
    """

    __tablename__ = "attendees"
    __table_args__ = (
        belongs_to("events", "event_id"),
        belongs_to("orders", "order_id"),
        belongs_to("ticket_types", "ticket_type_id"),
        belongs_to("invoices", "invoice_id"),
        belongs_to("payments", "payment_id"),
        parent_key(),
        UniqueConstraint("tenant_id", "ticket_code"),
        Index(None, "tenant_id", "event_id", "id"),
        Index(None, "tenant_id", "event_id", "name", "id"),
        Index(None, "tenant_id", "event_id", "email_norm"),
        Index("ix_attendees_event_id_payment_id", "tenant_id", "event_id", "payment_id", "id"),
        Index(None, "tenant_id", "order_id"),
        Index(None, "tenant_id", "payment_id"),
        Index(None, "tenant_id", "invoice_id"),
        CheckConstraint(
            "price_minor >= 0 AND refunded_minor >= 0 AND refunded_minor <= price_minor",
            name="refunded_within_price",
        ),
    )

    event_id: Mapped[int]
    order_id: Mapped[int]
    ticket_type_id: Mapped[int]
    invoice_id: Mapped[int | None]
    payment_id: Mapped[int | None]
    ticket_code: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(320))
    email_norm: Mapped[str | None] = mapped_column(String(320))
    company: Mapped[str | None] = mapped_column(String(200))
    locale: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(one_of("status", ATTENDEE_STATUSES), default="active")
    price_minor: Mapped[int]
    refunded_minor: Mapped[int] = mapped_column(default=0)
    currency: Mapped[str] = mapped_column(currency_code())
    notes: Mapped[str | None] = mapped_column(Text)
    registered_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    anonymised_at: Mapped[datetime | None]
