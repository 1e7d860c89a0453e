"""Taking an event off its public page, putting it into the archive, and taking it out again.

As in `programme.events` the verbs hold the event's row and commit nothing.
"""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.audit.services import Actor
from meet2be.db import clock_of
from meet2be.events.models import Event
from meet2be.exports import schedules
from meet2be.language import Message
from meet2be.orders.models import Order
from meet2be.programme.errors import NotInState
from meet2be.programme.events import OPEN, check_number, locked_event
from meet2be.programme.telling import tell
from meet2be.programme.testing import hold_mode


def unpublish_event(session: Session, uid: str, actor: Actor) -> Event:
    """Take an event off its public page: a draft again, under its old address.

    Nothing more is sold; tickets that were sold stay good, and orders whose tickets are set aside
    can still be paid until that ends. Raises ``UnknownEntry`` and ``NotInState``.
    """
    event = locked_event(session, uid)
    if event.status != "live":
        raise NotInState(Message("Only an event that is published can be taken off its page."))
    event.status, event.version = "draft", event.version + 1
    event.unpublished_at = clock_of(session).now()
    tell(session, event, "unpublished", actor, before={"status": "live"}, after={"status": "draft"},
         data={"status": "draft"})  # fmt: skip
    return event


def archive_event(session: Session, uid: str, actor: Actor) -> Event:
    """Put an event into the archive: out of the lists, and nothing of it can be changed.

    Its regular exports rest.
    Raises ``UnknownEntry``, and ``NotInState`` while something is still to come of it.
    """
    event = locked_event(session, uid)
    _check_settled(session, event)
    before = event.status
    event.status, event.version = "archived", event.version + 1
    event.archived_from, event.archived_at = before, clock_of(session).now()
    schedules.rest_with_event(session, event, actor)
    tell(session, event, "archived", actor, before={"status": before},
         after={"status": "archived"}, data={"status": "archived", "before": before})  # fmt: skip
    return event


def restore_event(session: Session, uid: str, actor: Actor) -> Event:
    """Take an event out of the archive, as it was put in; regular exports go on that went then.

    Raises ``UnknownEntry``, ``NotInState`` and ``TooManyEvents``.
    """
    check_number(session)
    only_tests = hold_mode(session)
    event = locked_event(session, uid)
    if event.status != "archived":
        raise NotInState(Message("This event is not in the archive."))
    was = event.archived_from or "draft"
    if only_tests and was in OPEN and not event.test_mode:
        raise NotInState(Message("This event is real, and your organisation is in test mode."))
    event.status, event.version = was, event.version + 1
    event.archived_from, event.archived_at = None, None
    schedules.go_on_with_event(session, event, actor, clock_of(session).now())
    tell(session, event, "restored", actor, before={"status": "archived"}, after={"status": was},
         data={"status": was})  # fmt: skip
    return event


def _check_settled(session: Session, event: Event) -> None:
    """Raise ``NotInState`` while an event is before us, or sold, or being cancelled."""
    is_over = event.ends_at <= clock_of(session).now()
    if event.status == "archived":
        raise NotInState(Message("This event is in the archive already."))
    if event.status == "cancelling":
        raise NotInState(Message("This event is being cancelled. Bring that to its end first."))
    if event.status == "live" and not is_over:
        raise NotInState(Message("This event is on sale. Take it off its page first, or cancel it,"
                                 " or wait until it is over."))  # fmt: skip
    mine = (Order.event_id == event.id, Order.status == "pending")
    if session.scalar(select(exists().where(*mine))):
        raise NotInState(Message("An order of this event is still open. Wait until it is paid or"
                                 " has expired, or cancel it."))  # fmt: skip
    good = (Attendee.event_id == event.id, Attendee.status != "cancelled")
    if event.status == "draft" and not is_over and session.scalar(select(exists().where(*good))):
        raise NotInState(Message("Somebody has a ticket for this event, which is still to come."
                                 " Cancel it instead."))  # fmt: skip
