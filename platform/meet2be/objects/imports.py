"""Imports."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.orm import Session

from meet2be.imports import listing
from meet2be.imports.errors import unpacked
from meet2be.imports.models import Import
from meet2be.imports.queries import find_import, remembered
from meet2be.imports.services import can_undo
from meet2be.language import said
from meet2be.objects.base import Moment, Told, Uid

Kind = Literal["attendees", "users"]
State = Literal[
    "uploaded", "mapped", "validating", "validated", "running", "cancelling", "cancelled", "done",
    "done_with_errors", "failed", "undoing", "undone",
]  # fmt: skip


class ImportTold(Told):
    """A list that was uploaded, and how far it has come."""

    uid: Uid
    kind: Kind
    event: Uid | None
    filename: str
    format: Literal["csv", "xlsx"]
    bytes: int
    sha256: str
    state: State
    header: list[str]
    mapping: dict[str, dict[str, Any]]
    options: dict[str, Any]
    error: str | None
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    undo_until: Moment | None
    can_undo: bool


def import_of(session: Session, found: Import) -> ImportTold:
    """Return an import as programs see it."""
    event = listing.event_of(session, found)
    own = set(ImportTold.model_fields) - {
        "event", "header", "mapping", "options", "error", "can_undo",
    }  # fmt: skip
    return ImportTold(
        **{name: getattr(found, name) for name in own},
        event=None if event is None else event.uid,
        header=[str(name) for name in found.header],
        mapping=remembered(found.mapping),
        options=dict(found.options),
        error=said(unpacked(found.error)) if found.error else None,
        can_undo=can_undo(session, found),
    )


def import_told(session: Session, uid: str) -> ImportTold | None:
    """Return an import; None when there is none."""
    found = find_import(session, uid)
    return None if found is None else import_of(session, found)
