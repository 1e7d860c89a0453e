"""Table of attendees."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint, event, inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from meet2be.attendees.keys import keys_of
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
_KEPT = ("name", "email_norm", "company", "ticket_code")


def _key(length: int) -> String:
    """Return the type of a key: PostgreSQL finds beginnings where letters stand by their codes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _list_index(name: str | None, *columns: str, where: str | None = None) -> Index:
    """Return an index over one event's attendees, or those of whom ``where`` is true."""
    only = None if where is None else text(where)
    return Index(name, "tenant_id", "event_id", *columns, sqlite_where=only, postgresql_where=only)


class Attendee(Numbered, Named, TenantOwned, Stamped, Base):
    """A person with a ticket.

    `price_minor` is this ticket's line on the invoice `invoice_id`, in minor units of
    `currency`; `refunded_minor` is what of it has been paid back; `payment_id` is the payment
    it was settled with, shared with the order's other tickets. A free ticket has neither invoice
    nor payment. `email` is empty when no usable address is known: nothing is ever mailed to a
    guess. The keys are made of the other columns by `attendees.keys`: the ORM sees to it, and
    statements past it name them.
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
        _list_index(None, "name_key", "id"),
        _list_index(None, "rest_key", "id"),
        _list_index(None, "last_key", "id", where="last_key IS NOT NULL"),
        _list_index(None, "email_key", "id"),
        _list_index(None, "domain_key", "id"),
        _list_index(None, "company_key", "id", where="company_key IS NOT NULL"),
        _list_index(None, "code_key", "id"),
        _list_index(None, "status", "name_key", "id"),
        _list_index(None, "ticket_type_id", "name_key", "id"),
        _list_index("ix_attendees_sums", "status", "currency", "price_minor", "refunded_minor"),
        _list_index("ix_attendees_refunded", "name_key", "id", where="refunded_minor > 0"),
        _list_index("ix_attendees_no_address", "name_key", "id", where="email IS NULL"),
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
    name_key: Mapped[str] = mapped_column(_key(200), server_default="")
    rest_key: Mapped[str] = mapped_column(_key(200), server_default="")
    last_key: Mapped[str | None] = mapped_column(_key(200))
    email_key: Mapped[str] = mapped_column(_key(320), server_default="")
    domain_key: Mapped[str] = mapped_column(_key(320), server_default="")
    company_key: Mapped[str | None] = mapped_column(_key(200))
    code_key: Mapped[str] = mapped_column(_key(64), server_default="")


@event.listens_for(Attendee, "before_insert")
def _make_keys(_mapper: Mapper[Any], _connection: Connection, attendee: Attendee) -> None:
    for name, key in keys_of({name: getattr(attendee, name) for name in _KEPT}).items():
        setattr(attendee, name, key)


@event.listens_for(Attendee, "before_update")
def _renew_keys(_mapper: Mapper[Any], _connection: Connection, attendee: Attendee) -> None:
    state = inspect(attendee)
    changed = [name for name in _KEPT if state.attrs[name].history.has_changes()]
    for name, key in keys_of({name: getattr(attendee, name) for name in changed}).items():
        setattr(attendee, name, key)
