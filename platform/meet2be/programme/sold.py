"""Whether anything of an event is in somebody's hands."""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.events.models import Event
from meet2be.orders.models import Order


def is_sold(session: Session, event: Event) -> bool:
    """Tell whether somebody ordered, or has, a ticket for the event."""
    ordered = exists().where(Order.event_id == event.id)
    held = exists().where(Attendee.event_id == event.id)
    return bool(session.scalar(select(ordered)) or session.scalar(select(held)))
