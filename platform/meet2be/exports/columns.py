"""The columns that an export of attendees can have: the table that pages and readers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, DateTime, String, type_coerce

from meet2be.attendees.models import Attendee
from meet2be.events.models import TicketType
from meet2be.invoices.models import Invoice
from meet2be.language import N_
from meet2be.orders.models import Order

Kind = Literal["text", "state", "moment", "money"]
Needs = Literal["", "ticket", "order", "invoice"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in wishes, its heading, what its values are, and what they need."""

    key: str
    label: str
    source: Any
    kind: Kind = "text"
    needs: Needs = ""
    width: float = 1.0
    """Share of a page's width, beside the others'."""


def _moment(column: Any) -> ColumnElement[Any]:
    # Without the type's own steps: a million moments are turned into local ones a page at a time.
    return type_coerce(column, DateTime(timezone=True))


def _plain(column: Any) -> ColumnElement[Any]:
    # Without the type's own check, whether the database holds what it takes alone.
    return type_coerce(column, String())


_ALL: Final = (
    Column("name", N_("Name"), Attendee.name, width=1.5),
    Column("email", N_("Email"), Attendee.email, width=1.8),
    Column("company", N_("Company"), Attendee.company, width=1.3),
    Column("ticket", N_("Ticket"), TicketType.name, needs="ticket"),
    Column("ticket_code", N_("Ticket code"), Attendee.ticket_code),
    Column("status", N_("State"), _plain(Attendee.status), kind="state", width=0.8),
    Column("order", N_("Order"), Order.code, needs="order"),
    Column("buyer", N_("Buyer"), Order.buyer_name, needs="order", width=1.3),
    Column("buyer_email", N_("Buyer's email"), Order.buyer_email, needs="order", width=1.8),
    Column("invoice", N_("Invoice"), Invoice.number, needs="invoice"),
    Column("price", N_("Price"), Attendee.price_minor, kind="money", width=0.7),
    Column("refunded", N_("Paid back"), Attendee.refunded_minor, kind="money", width=0.7),
    Column("currency", N_("Currency"), Attendee.currency, width=0.6),
    Column("language", N_("Language"), Attendee.locale, width=0.6),
    Column("registered", N_("Registered"), _moment(Attendee.registered_at), kind="moment"),
    Column("cancelled", N_("Cancelled"), _moment(Attendee.cancelled_at), kind="moment"),
    Column("notes", N_("Notes"), Attendee.notes, width=1.5),
    Column("id", N_("Attendee ID"), Attendee.uid),
)
COLUMNS: Final[Mapping[str, Column]] = {column.key: column for column in _ALL}
USUAL: Final = ("name", "email", "company", "ticket", "ticket_code", "status", "price")
"""What a new export has unless somebody chooses."""

STATE_WORDS: Final[Mapping[str, str]] = {
    "active": N_("Valid ticket"),
    "cancelled": N_("Cancelled"),
    "checked_in": N_("Checked in"),
    "transferred": N_("Transferred"),
}
