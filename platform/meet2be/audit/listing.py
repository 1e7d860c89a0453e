"""The audit log as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.audit.models import AuditEntry
from meet2be.db.keyset import Order, Page, Slice, fetch_page

NEWEST_FIRST = Order((AuditEntry.id,), descending=True)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; empty strings leave all in."""

    action: str = ""
    actor_kind: str = ""
    object_id: str = ""


def entries_page(session: Session, wanted: AuditFilter, part: Slice) -> Page:
    """Return a page of the tenant's entries, the newest first. ``action`` matches its beginning."""
    statement = select(AuditEntry)
    if wanted.action:
        statement = statement.where(AuditEntry.action.startswith(wanted.action, autoescape=True))
    if wanted.actor_kind:
        statement = statement.where(AuditEntry.actor_kind == wanted.actor_kind)
    if wanted.object_id:
        statement = statement.where(AuditEntry.object_id == wanted.object_id)
    return fetch_page(session, statement, NEWEST_FIRST, part)
