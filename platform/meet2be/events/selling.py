"""Whether a kind of ticket is sold now: the event's window, its own, and whether it was closed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from meet2be.events.models import Event, TicketType

SaleState = Literal["open", "later", "over", "closed"]


def sale_state(event: Event, ticket: TicketType, now: datetime) -> SaleState:
    """Return how the sale of a kind stands: each window's beginning belongs to it, its end not."""
    if event.status != "live" or ticket.closed_at is not None:
        return "closed"
    ends = (event.on_sale_until, ticket.on_sale_until, event.ends_at)
    if any(end is not None and end <= now for end in ends):
        return "over"
    return "later" if (sale_begins(event, ticket) or now) > now else "open"


def honours_orders(event: Event) -> bool:
    """Tell whether orders that hold tickets can still be paid.

    An event that is only taken off its public page keeps what it has promised.
    """
    return event.status == "live" or (event.status == "draft" and event.unpublished_at is not None)


def sale_begins(event: Event, ticket: TicketType) -> datetime | None:
    """Return when a kind's sale begins; None where nothing is said."""
    return max(filter(None, (event.on_sale_from, ticket.on_sale_from)), default=None)


def tax_within(amount_minor: int, tax_bp: int) -> int:
    """Return the tax that an amount bears within it, rounded half up, in minor units.

    Prices on offer to consumers include their tax (Directive 98/6/EC, article 2).
    """
    whole = 10_000 + tax_bp
    return (2 * amount_minor * tax_bp + whole) // (2 * whole)
