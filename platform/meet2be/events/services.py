"""Finding events by what people call them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.events.errors import EventNotFoundError
from meet2be.events.models import Event


def find_event(session: Session, slug: str) -> Event:
    """Return the tenant's event of that short name; raise EventNotFoundError."""
    event = session.scalar(select(Event).where(Event.slug == slug))
    if event is None:
        raise EventNotFoundError(slug)
    return event
