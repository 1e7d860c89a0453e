"""Events and kinds of tickets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.events import listing
from meet2be.events.models import TicketType
from meet2be.objects.base import Moment, Told, Uid

Status = Literal["draft", "live", "cancelling", "cancelled", "archived"]


class EventTold(Told):
    """An event."""

    uid: Uid
    slug: str
    title: str
    status: Status
    starts_at: Moment
    ends_at: Moment
    timezone: str
    currency: str
    test_mode: bool
    cancelled_at: Moment | None
    version: int
    description: str | None
    place: str | None
    capacity: int | None
    on_sale_from: Moment | None
    on_sale_until: Moment | None
    unpublished_at: Moment | None = Field(
        description="When it was taken off its public page; null while it is on it, or never was."
    )
    archived_at: Moment | None


class TicketTypeTold(Told):
    """A kind of ticket; the price is in minor units of the event's currency, its tax within it."""

    uid: Uid
    name: str
    price_minor: int
    tax_bp: int = Field(description="The tax rate in basis points: 1900 is 19 %.")
    quota: int
    held: int
    sold: int
    is_shipped: bool
    is_hidden: bool
    position: int
    on_sale_from: Moment | None
    on_sale_until: Moment | None
    closed_at: Moment | None


def event_told(session: Session, uid: str) -> EventTold | None:
    """Return an event; None when there is none."""
    event = listing.find_event(session, uid)
    return None if event is None else EventTold.model_validate(event)


def ticket_type_told(session: Session, uid: str) -> TicketTypeTold | None:
    """Return a kind of ticket; None when there is none."""
    ticket = session.scalar(select(TicketType).where(TicketType.uid == uid))
    return None if ticket is None else TicketTypeTold.model_validate(ticket)
