"""The audit log as its page and its file show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from meet2be.audit.models import AuditEntry
from meet2be.db.keyset import Order, Page, Slice, fetch_page

NEWEST_FIRST: Final = Order((AuditEntry.id,), descending=True)
A_READ: Final = 1_000


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
    """Return a page of the tenant's entries, the newest first. ``action`` matches its beginning."""
    return fetch_page(session, _chosen(wanted), NEWEST_FIRST, part)


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


def _chosen(wanted: AuditFilter) -> Select[AuditEntry]:
    statement = select(AuditEntry)
    if wanted.action:
        statement = statement.where(AuditEntry.action.startswith(wanted.action, autoescape=True))
    if wanted.actor_kind:
        statement = statement.where(AuditEntry.actor_kind == wanted.actor_kind)
    if wanted.person:
        statement = statement.where(
            AuditEntry.actor_kind.in_(("user", "operator")), AuditEntry.actor_id == wanted.person
        )
    if wanted.object_id:
        statement = statement.where(AuditEntry.object_id == wanted.object_id)
    if wanted.since is not None:
        statement = statement.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(AuditEntry.at < wanted.until)
    return statement
