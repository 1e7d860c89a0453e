"""The provider's messages as operators see them: those that fit nothing wait for a person.

In system sessions: such a message is no organisation's. The caller commits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, assert_never

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.audit.services import Actor, record
from meet2be.db import clock_of
from meet2be.db.keyset import Order, Page, Slice, fetch_merged
from meet2be.errors import Meet2BeError
from meet2be.language import Message
from meet2be.payments.facts import ProviderEventReceived
from meet2be.payments.inbox import CONFLICT, GAVE_UP, UNMATCHED
from meet2be.payments.models import ProviderEvent

FOR_PEOPLE: Final = (UNMATCHED, CONFLICT, GAVE_UP)
"""What became of messages that a person looks at."""
State = Literal["open", "seen", "waiting", "all"]
STATES: Final[tuple[State, ...]] = ("open", "seen", "waiting", "all")
LONGEST_NOTE: Final = 2000
COUNTED_AT_MOST: Final = 1000
NEWEST_FIRST: Final = Order((ProviderEvent.id,), descending=True)


class MessageError(Meet2BeError):
    """What a message of the provider does not allow."""


class UnknownMessage(MessageError):
    """No message of that number."""

    def __init__(self, number: int) -> None:
        """Keep which one was asked for."""
        self.number = number
        super().__init__(Message("There is no message %(number)s.", {"number": number}))


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages are wanted: ``words`` is an id of the provider, or how its kind begins."""

    state: State = "open"
    words: str = ""


def messages_page(session: Session, wanted: MessageFilter, part: Slice) -> Page:
    """Return a page of the provider's messages, the newest first."""
    statements = [_of_state(select(ProviderEvent), wanted.state)]
    if wanted.words:
        types = [name for name in _types(session) if name.startswith(wanted.words)]
        named = (ProviderEvent.event_id == wanted.words, *(ProviderEvent.type == t for t in types))
        statements = [statements[0].where(each) for each in named]
    return fetch_merged(session, statements, NEWEST_FIRST, part)


def _types(session: Session) -> Iterator[str]:
    """Yield the kinds of messages that there are, each found by one step in the index."""
    least = select(func.min(ProviderEvent.type))
    kind = session.scalar(least)
    while kind is not None:
        yield kind
        kind = session.scalar(least.where(ProviderEvent.type > kind))


def open_messages(session: Session) -> int:
    """Return how many messages wait for a person, counted up to ``COUNTED_AT_MOST``."""
    some = _of_state(select(ProviderEvent.id), "open").limit(COUNTED_AT_MOST).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def look_again(session: Session, number: int, actor: Actor) -> ProviderEvent:
    """Have a message acted upon once more, as if it had just come.

    What it tells counts as any message does: a refund that is known is followed, anything else
    stays unmatched. Raises ``UnknownMessage``, and ``MessageError`` for one that was understood.
    """
    message = _locked(session, number)
    if message.processed_at is None:
        raise MessageError(Message("This message is being looked at already."))
    if message.result not in FOR_PEOPLE:
        raise MessageError(Message("This message was understood: there is nothing to look at."))
    before = {"result": message.result}
    message.processed_at = message.result = message.error = None
    message.seen_at = None
    facts.note(session, ProviderEventReceived(message.id))
    record(session, actor, "provider_event.looked_again", "provider_event", number, before=before)
    return message


def mark_seen(session: Session, number: int, note: str, actor: Actor) -> ProviderEvent:
    """Take a message off the list with a note of what was found.

    Raises ``UnknownMessage``, and ``MessageError`` without a note or for one that waits.
    """
    text = note.replace("\x00", "").strip()[:LONGEST_NOTE]
    if not text:
        raise MessageError(Message("Say what you found: the next person will ask."))
    message = _locked(session, number)
    if message.result not in FOR_PEOPLE:
        raise MessageError(Message("Only messages that matched nothing are marked."))
    message.seen_at, message.note = clock_of(session).now(), text
    record(session, actor, "provider_event.seen", "provider_event", number, reason=text)
    return message


def _locked(session: Session, number: int) -> ProviderEvent:
    wanted = select(ProviderEvent).where(ProviderEvent.id == number).with_for_update()
    found = session.scalar(wanted)
    if found is None:
        raise UnknownMessage(number)
    return found


def _of_state(statement: Select[*tuple[Any, ...]], state: State) -> Select[*tuple[Any, ...]]:
    match state:
        case "open":
            fits = ProviderEvent.result.in_(FOR_PEOPLE)
            return statement.where(fits, ProviderEvent.seen_at.is_(None))
        case "seen":
            return statement.where(ProviderEvent.seen_at.is_not(None))
        case "waiting":
            return statement.where(ProviderEvent.processed_at.is_(None))
        case "all":
            return statement
        case _:
            assert_never(state)
