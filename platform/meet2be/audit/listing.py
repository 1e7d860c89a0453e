"""The audit log as its page and its file show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, product
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from meet2be.audit.models import ACTOR_KINDS, AuditEntry
from meet2be.db.keyset import Order, Page, Slice, by_number, fetch_merged

NEWEST_FIRST: Final = Order((AuditEntry.at, AuditEntry.id), descending=True)
PEOPLE: Final = ("user", "operator")
A_READ: Final = 1_000
MOST_WAYS: Final = 25
"""So many statements find a page; what many kinds of entries have in common is frequent in time."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; empty strings and None leave all in.

    ``since`` is the first moment, ``until`` the one before which it ends.
    """

    action: str = ""
    actor_kind: str = ""
    object_id: str = ""
    person: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all entries are wanted."""
        return self == AuditFilter()


def entries_page(session: Session, wanted: AuditFilter, part: Slice) -> Page:
    """Return a page of the tenant's entries, the newest first; places are named by `AuditEntry.id`.

    ``action`` matches its beginning.
    """
    place = by_number(session, NEWEST_FIRST, part)
    return fetch_merged(session, _chosen(session, wanted), NEWEST_FIRST, place)


def all_entries(session: Session, wanted: AuditFilter) -> Iterator[AuditEntry]:
    """Yield every entry, the newest first, read some at a time and forgotten again."""
    part = Slice(size=A_READ)
    while True:
        page = entries_page(session, wanted, part)
        yield from page.rows
        if not page.has_later:
            return
        part = Slice(after=(page.rows[-1].id,), size=A_READ)
        session.expunge_all()


def _chosen(session: Session, wanted: AuditFilter) -> list[Select[AuditEntry]]:
    """Return statements that together find the entries, each of them along an index."""
    statement = select(AuditEntry)
    if wanted.object_id:
        statement = statement.where(AuditEntry.object_id == wanted.object_id)
    if wanted.since is not None:
        statement = statement.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(AuditEntry.at < wanted.until)
    kinds: Sequence[str] = (wanted.actor_kind,) if wanted.actor_kind else ()
    if wanted.person:
        statement = statement.where(AuditEntry.actor_id == wanted.person)
        kinds = [kind for kind in PEOPLE if kind in kinds or not kinds]
    if wanted.action and not wanted.object_id and not wanted.person:
        actions = islice(_actions(session, wanted.action), MOST_WAYS + 1)
        ways = [
            statement.where(AuditEntry.action == action, AuditEntry.actor_kind == kind)
            for action, kind in product(actions, kinds or ACTOR_KINDS)
        ]
        if len(ways) <= MOST_WAYS:
            return ways
    if wanted.action:
        statement = statement.where(AuditEntry.action.startswith(wanted.action, autoescape=True))
    if not kinds and not wanted.person:
        return [statement]
    return [statement.where(AuditEntry.actor_kind == kind) for kind in kinds]


def _actions(session: Session, beginning: str) -> Iterator[str]:
    """Yield what was ever done here that begins so, each found by one step in the index."""
    first = select(func.min(AuditEntry.action))
    action = session.scalar(first.where(AuditEntry.action >= beginning))
    while action is not None and action.startswith(beginning):
        yield action
        action = session.scalar(first.where(AuditEntry.action > action))
