"""Making events, changing what is said of them, and publishing them.

The verbs work in the tenant's own session and commit nothing. Each holds the event's row, so that
two people at once change it one after the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be.accounts.own import zones
from meet2be.audit.services import Actor
from meet2be.db import clock_of
from meet2be.events.listing import count_events
from meet2be.events.models import Event, TicketType
from meet2be.language import Message
from meet2be.money import (
    MoneyError,
    check_payable,
    decimals_of,
    not_payable,
    odd_price,
    smallest_step,
)
from meet2be.programme.errors import EntryRefused, NotInState, TooManyEvents, UnknownEntry
from meet2be.programme.sold import is_sold
from meet2be.programme.telling import changes, tell
from meet2be.programme.testing import hold_mode
from meet2be.programme.texts import line, needed_line, paragraphs
from meet2be.tenancy.limits import LimitReached, check_limit, hold_limits

LONGEST_TITLE: Final = 200
LONGEST_DESCRIPTION: Final = 10_000
LONGEST_SLUG: Final = 60
MOST_PLACES: Final = 10_000_000
OPEN: Final = ("draft", "live")
"""States in which an event can still be changed."""
_SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LETTERS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "o", "æ": "ae"})


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event as somebody wants it.

    ``slug`` is its name in addresses, empty for one made from the title. ``capacity`` None: as many
    places as its kinds of tickets have. Empty ends of the sale stand open.
    """

    title: str
    starts_at: datetime
    ends_at: datetime
    timezone: str
    currency: str
    slug: str = ""
    description: str | None = None
    place: str | None = None
    capacity: int | None = None
    on_sale_from: datetime | None = None
    on_sale_until: datetime | None = None
    test_mode: bool = False


def draft_of(event: Event) -> EventDraft:
    """Return an event as it stands, as a draft."""
    return EventDraft(**{name: getattr(event, name) for name in EventDraft.__slots__})


def create_event(session: Session, draft: EventDraft, actor: Actor) -> Event:
    """Return a new event, a draft that nobody else sees; a test where the organisation tests.

    Raises ``EntryRefused`` and ``TooManyEvents``.
    """
    wanted = _checked(draft)
    check_number(session)
    is_test = hold_mode(session) or wanted.test_mode
    wanted = replace(wanted, slug=_free_slug(session, wanted), test_mode=is_test)
    event = Event(**asdict(wanted), status="draft", version=1)
    session.add(event)
    session.flush()
    tell(session, event, "created", actor, after=asdict(wanted), data={"status": "draft"})
    return event


def check_number(session: Session) -> None:
    """Raise ``TooManyEvents`` when one more is too many; nobody else takes it until the commit."""
    hold_limits(session)
    try:
        check_limit(session, "events", count_events(session))
    except LimitReached as error:
        raise TooManyEvents(error.message) from error


def change_event(
    session: Session,
    uid: str,
    wishes: Mapping[str, Any],
    actor: Actor,
    look: Callable[[Event], None] | None = None,
) -> Event:
    """Change what ``wishes`` name of an event, by the names of a draft's fields, and return it.

    ``look`` is shown the event as it stands, while its row is held, and may raise.
    Raises ``UnknownEntry``, ``EntryRefused``, and ``NotInState`` for one that is cancelled, or that
    is real while the organisation is in test mode.
    """
    only_tests = hold_mode(session)
    event = locked_event(session, uid)
    check_open(event)
    if look is not None:
        look(event)
    if only_tests and not event.test_mode:
        raise NotInState(Message("This event is real, and your organisation is in test mode."))
    wanted = _checked(replace(draft_of(event), **wishes), event.currency)
    wanted = replace(wanted, slug=wanted.slug or event.slug)
    before, after = changes(event, asdict(wanted))
    if "slug" in after:
        _check_slug(session, event, wanted.slug)
    if "currency" in after:
        _check_currency(session, event, wanted.currency)
    if "test_mode" in after:
        _check_mode(session, event, only_tests=only_tests)
    if wanted.capacity is not None and "capacity" in after:
        _check_capacity(session, event, wanted.capacity)
    try:
        with session.begin_nested():
            for name, value in after.items():
                setattr(event, name, value)
    except IntegrityError as error:  # another one took the name since we looked
        raise _slug_taken() from error
    if after:
        event.version += 1  # calendars go by it, see calendar_file
        tell(session, event, "updated", actor, before=before, after=after,
             data={"status": event.status, "changed": sorted(after)})  # fmt: skip
    return event


def publish_event(session: Session, uid: str, actor: Actor) -> Event:
    """Put an event on its public page; raises ``UnknownEntry`` and ``NotInState``."""
    event = locked_event(session, uid)
    if event.status != "draft":
        raise NotInState(Message("Only a draft can be published."))
    if event.ends_at <= clock_of(session).now():
        raise NotInState(Message("This event is over already. Set its times first."))
    open_kinds = exists().where(TicketType.event_id == event.id, TicketType.closed_at.is_(None))
    if not session.scalar(select(open_kinds)):
        raise NotInState(Message("Create a ticket type first, so that there is something to sell."))
    event.status, event.version = "live", event.version + 1
    event.unpublished_at = None
    tell(session, event, "published", actor, before={"status": "draft"}, after={"status": "live"},
         data={"status": "live"})  # fmt: skip
    return event


def locked_event(session: Session, uid: str) -> Event:
    """Return an event whose row is held; raises ``UnknownEntry``."""
    mine = select(Event).where(Event.uid == uid).with_for_update()
    # What was read before the wait for the lock may be old news.
    event = session.scalar(mine.execution_options(populate_existing=True))
    if event is None:
        raise UnknownEntry(uid)
    return event


def check_open(event: Event) -> None:
    """Raise ``NotInState`` unless the event can still be changed."""
    if event.status not in OPEN:
        raise NotInState(Message("A cancelled or archived event cannot be changed any more."))


def _checked(draft: EventDraft, present: str = "") -> EventDraft:
    """Return a draft in its normal form; raises ``EntryRefused``.

    A currency that is no money is let be where it is the ``present`` one.
    """
    if draft.timezone not in zones():
        raise EntryRefused("timezone", Message("Choose a time zone of the list."))
    try:
        check_payable(draft.currency)
    except MoneyError as error:
        if draft.currency != present:
            raise EntryRefused("currency", not_payable(draft.currency)) from error
    if draft.ends_at <= draft.starts_at:
        raise EntryRefused("ends_at", Message("The event must end after it begins."))
    check_window(draft.on_sale_from, draft.on_sale_until)
    if draft.capacity is not None and not 0 < draft.capacity <= MOST_PLACES:
        raise EntryRefused("capacity", Message("Give a number of places from 1 on, or nothing."))
    slug = draft.slug.strip().lower()
    if slug and not (_SLUG.fullmatch(slug) and len(slug) <= LONGEST_SLUG):
        why = Message("Use small letters, figures and hyphens, at most 60 of them.")
        raise EntryRefused("slug", why)
    return replace(
        draft,
        slug=slug,
        title=needed_line("title", draft.title, LONGEST_TITLE),
        place=line("place", draft.place or "", LONGEST_TITLE) or None,
        description=paragraphs("description", draft.description or "", LONGEST_DESCRIPTION) or None,
    )


def check_window(since: datetime | None, until: datetime | None) -> None:
    """Raise ``EntryRefused`` for a sale that ends before it begins."""
    if since is not None and until is not None and until <= since:
        raise EntryRefused("on_sale_until", Message("The sale must end after it begins."))


def _check_mode(session: Session, event: Event, *, only_tests: bool) -> None:
    if only_tests:
        why = Message("Your organisation is in test mode, and its events with it.")
        raise EntryRefused("test_mode", why)
    if is_sold(session, event):
        why = Message("Orders were placed already, so this stays as it is.")
        raise EntryRefused("test_mode", why)


def _check_slug(session: Session, event: Event, slug: str) -> None:
    if event.status != "draft" or event.unpublished_at is not None:
        why = Message("The event is published under “%(name)s”: links to it stay as they are.",
                      {"name": event.slug})  # fmt: skip
        raise EntryRefused("slug", why)
    if _is_taken(session, slug):
        raise _slug_taken()


def _slug_taken() -> EntryRefused:
    return EntryRefused("slug", Message("Another event has this name already."))


def _check_currency(session: Session, event: Event, currency: str) -> None:
    if is_sold(session, event):
        why = Message("Tickets were ordered in %(currency)s, so the currency stays.",
                      {"currency": event.currency})  # fmt: skip
        raise EntryRefused("currency", why)
    priced = exists().where(TicketType.event_id == event.id, TicketType.price_minor > 0)
    if decimals_of(currency) != decimals_of(event.currency) and session.scalar(select(priced)):
        why = Message("The prices are written in %(currency)s, which has other decimals. Set them"
                      " to 0 first.", {"currency": event.currency})  # fmt: skip
        raise EntryRefused("currency", why)
    odd = exists().where(
        TicketType.event_id == event.id, TicketType.price_minor % smallest_step(currency) != 0
    )
    if session.scalar(select(odd)):
        raise EntryRefused("currency", odd_price(currency))


def _check_capacity(session: Session, event: Event, capacity: int) -> None:
    # Held first: whoever places an order of a limited event holds the event's row too.
    mine = TicketType.event_id == event.id
    gone = session.scalar(select(func.sum(TicketType.held + TicketType.sold)).where(mine)) or 0
    if capacity < gone:
        why = Message(
            "%(number)s ticket is sold or set aside already, so there cannot be fewer places.", {},
            "%(number)s tickets are sold or set aside already, so there cannot be fewer places.",
            int(gone),
        )  # fmt: skip
        raise EntryRefused("capacity", why)


def _free_slug(session: Session, draft: EventDraft) -> str:
    """Return the name in addresses: the one that was given, or one made from the title."""
    if draft.slug:
        if _is_taken(session, draft.slug):
            raise EntryRefused("slug", Message("Another event has this name already."))
        return draft.slug
    base = _slug_of(draft.title)
    alike = select(Event.slug).where(Event.slug.startswith(base, autoescape=True))
    taken = set(session.scalars(alike))
    number = 2
    found = base
    while found in taken:
        found, number = f"{base}-{number}", number + 1
    return found


def _slug_of(title: str) -> str:
    letters = unicodedata.normalize("NFKD", title.lower().translate(_LETTERS))
    words = re.findall(r"[a-z0-9]+", letters.encode("ascii", "ignore").decode())
    return "-".join(words)[: LONGEST_SLUG - 6].strip("-") or "event"


def _is_taken(session: Session, slug: str) -> bool:
    return bool(session.scalar(select(exists().where(Event.slug == slug))))
