"""Exports."""

from __future__ import annotations

from typing import Literal

from sqlalchemy.orm import Session

from meet2be.events.models import Event
from meet2be.exports import listing
from meet2be.exports.models import Export
from meet2be.exports.telling import said_again
from meet2be.language import said
from meet2be.objects.base import Moment, Told, Uid

State = Literal["queued", "running", "uploading", "ready", "failed", "cancelled", "expired"]


class ExportTold(Told):
    """A file that was asked for; `download` works while the state is `ready`."""

    uid: Uid
    event: Uid
    format: str
    state: State
    done: int
    total: int
    size: int | None
    sha256: str | None
    filename: str
    error_code: str | None
    error: str | None
    created_at: Moment
    ready_at: Moment | None
    expires_at: Moment | None
    download: str | None


def export_of(export: Export, event: Event) -> ExportTold:
    """Return an export of an event as programs see it."""
    own = set(ExportTold.model_fields) - {"event", "error", "download"}
    named = {name: getattr(export, name) for name in own}
    link = f"/api/v1/exports/{export.uid}/file" if export.state == "ready" else None
    why = said_again(export.error)
    error = None if why is None else said(why)
    return ExportTold(**named, event=event.uid, error=error, download=link)


def export_told(session: Session, uid: str) -> ExportTold | None:
    """Return an export; None when there is none."""
    found = listing.export_with_event(session, uid)
    return None if found is None else export_of(*found)
