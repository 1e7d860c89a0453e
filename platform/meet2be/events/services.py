"""Making events, and moving them from state to state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import available_timezones

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meet2be import money
from meet2be.db import clock_of
from meet2be.events.errors import (
    BadEventError,
    EventMovedError,
    EventNotFoundError,
    SlugTakenError,
)
from meet2be.events.models import Event

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,78}[a-z0-9])?")
# From where each state can be reached. An event whose cancellation was aborted stays `cancelling`:
# some people may have their money back already.
_CAN_BECOME: Final = {
    "live": ("draft",),
    "cancelling": ("draft", "live"),
    "cancelled": ("cancelling",),
    "archived": ("draft", "live", "cancelled"),
}


@dataclass(frozen=True, slots=True)
class NewEvent:
    """The particulars of an event to be made; times with their zone."""

    slug: str
    title: str
    starts_at: datetime
    ends_at: datetime
    timezone: str
    currency: str
    test_mode: bool = False


def create_event(session: Session, new: NewEvent) -> Event:
    """Add an event as a draft and return it; the caller commits.

    Raises BadEventError, SlugTakenError or UnknownCurrencyError.
    """
    if not _SLUG.fullmatch(new.slug):
        raise BadEventError("short name", "may have small letters, digits and hyphens only.")
    if not new.title.strip():
        raise BadEventError("title", "is empty.")
    if new.ends_at < new.starts_at:
        raise BadEventError("end", "lies before its beginning.")
    if new.timezone not in available_timezones():
        raise BadEventError("time zone", f"'{new.timezone}' is unknown, write Europe/Berlin.")
    money.decimals_of(new.currency)
    if session.scalar(select(Event.id).where(Event.slug == new.slug)) is not None:
        raise SlugTakenError(new.slug)
    event = Event(
        slug=new.slug,
        title=new.title.strip(),
        starts_at=new.starts_at,
        ends_at=new.ends_at,
        timezone=new.timezone,
        currency=new.currency,
        test_mode=new.test_mode,
    )
    session.add(event)
    session.flush()
    return event


def find_event(session: Session, slug: str) -> Event:
    """Return the tenant's event of that short name; raise EventNotFoundError."""
    event = session.scalar(select(Event).where(Event.slug == slug))
    if event is None:
        raise EventNotFoundError(slug)
    return event


def publish(session: Session, event: Event) -> None:
    """Open a draft to the public; the caller commits."""
    _move(session, event, "live")


def start_cancelling(session: Session, event: Event) -> None:
    """Stop all sales; the caller commits. Raises EventMovedError when somebody was faster."""
    _move(session, event, "cancelling")


def finish_cancelling(session: Session, event: Event) -> None:
    """Mark the event as cancelled for good; the caller commits."""
    _move(session, event, "cancelled")


def _move(session: Session, event: Event, status: str) -> None:
    """Change the state if the row still is what the caller saw, and raise its version."""
    now = clock_of(session).now()
    ended = {"cancelled_at": now} if status == "cancelled" else {}
    statement = (
        update(Event)
        .where(
            Event.id == event.id,
            Event.version == event.version,
            Event.status.in_(_CAN_BECOME[status]),
        )
        .values(status=status, version=Event.version + 1, **ended)
        .returning(Event.id)
        .execution_options(synchronize_session=False)
    )
    moved = session.scalar(statement) is not None
    session.refresh(event)
    if not moved:
        raise EventMovedError(event.slug, status=event.status, wanted=status)
