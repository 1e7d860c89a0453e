"""Tables of exports, of what people saved to ask again, and of what comes by itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import (
    Base,
    Named,
    Numbered,
    Stamped,
    TenantOwned,
    belongs_to,
    parent_key,
)
from meet2be.db.columns import Document, one_of

EXPORT_STATES = ("queued", "running", "uploading", "ready", "failed", "cancelled", "expired")
OPEN_STATES = ("queued", "running", "uploading")
REPEATS = ("daily", "weekly", "monthly")

_OPEN = text("state IN ('queued', 'running', 'uploading')")


class Export(Numbered, Named, TenantOwned, Stamped, Base):
    """One file that somebody asked for, from the wish to its removal.

    `spec` is what was wished, kept as it was. `fence` rises with each start, so that a worker that
    was taken for dead writes nothing more. `error` is a sentence with its values, in no language.
    """

    __tablename__ = "exports"
    __table_args__ = (
        belongs_to("events", "event_id"),
        belongs_to("export_schedules", "schedule_id"),
        parent_key(),
        UniqueConstraint("storage_key"),
        UniqueConstraint("schedule_id", "planned_at"),
        Index(
            "uq_exports_request_hash_open", "tenant_id", "request_hash", unique=True,
            sqlite_where=_OPEN, postgresql_where=_OPEN,
        ),
        Index(None, "tenant_id", "id"),
        Index(None, "tenant_id", "event_id", "id"),
        Index(None, "tenant_id", "state", "id"),
        Index(None, "tenant_id", "event_id", "state", "id"),
        Index(None, "tenant_id", "created_at"),
        Index(None, "state", "expires_at"),
        CheckConstraint("total >= 0 AND done >= 0 AND fence >= 0", name="not_negative"),
    )  # fmt: skip

    event_id: Mapped[int]
    schedule_id: Mapped[int | None]
    planned_at: Mapped[datetime | None]
    requested_by: Mapped[int] = mapped_column(ForeignKey("users.id"))
    format: Mapped[str] = mapped_column(String(16))
    spec: Mapped[Document] = mapped_column(default=dict)
    request_hash: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(one_of("state", EXPORT_STATES), default="queued")
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    snapshot_at: Mapped[datetime | None]
    size: Mapped[int | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    storage_key: Mapped[str] = mapped_column(String(240))
    filename: Mapped[str] = mapped_column(String(200))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[Document | None]
    started_at: Mapped[datetime | None]
    ready_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    downloads: Mapped[int] = mapped_column(default=0)
    last_download_at: Mapped[datetime | None]


class ExportRemains(Numbered, TenantOwned, Base):
    """What is left of an export that was deleted or came to nothing: a file, and rows that count.

    `remove_at` is when its file is removed (later than any worker may still be writing it), None
    once it is gone. `rows` count against the limit as long as those of exports that are listed.
    """

    __tablename__ = "export_remains"
    __table_args__ = (Index(None, "remove_at"), Index(None, "tenant_id", "asked_at"))

    storage_key: Mapped[str] = mapped_column(String(240))
    rows: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[datetime]
    remove_at: Mapped[datetime | None]


class ExportPreset(Numbered, Named, TenantOwned, Stamped, Base):
    """A wish that somebody saved under a name, to use it with any event."""

    __tablename__ = "export_presets"
    __table_args__ = (UniqueConstraint("tenant_id", "owner_id", "name"),)

    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(120))
    spec: Mapped[Document] = mapped_column(default=dict)


class ExportSchedule(Numbered, Named, TenantOwned, Stamped, Base):
    """A wish that comes again and again, at a time of day of its zone.

    `weekday` (0 is Monday) is for weekly ones, `monthday` for monthly ones (a month without that
    day has its last one instead). `recipients` are numbers of people who are told too. One that
    `rests_with_event` was paused by the event's archive, and goes on when it comes out of there.
    """

    __tablename__ = "export_schedules"
    __table_args__ = (
        belongs_to("events", "event_id"),
        parent_key(),
        Index(None, "enabled", "next_at"),
        CheckConstraint("error_count >= 0", name="errors_not_negative"),
        CheckConstraint("weekday >= 0 AND weekday <= 6", name="weekday_exists"),
        CheckConstraint("monthday >= 1 AND monthday <= 31", name="monthday_exists"),
    )

    event_id: Mapped[int]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(120))
    format: Mapped[str] = mapped_column(String(16))
    spec: Mapped[Document] = mapped_column(default=dict)
    repeat: Mapped[str] = mapped_column(one_of("repeat", REPEATS))
    weekday: Mapped[int] = mapped_column(default=0)
    monthday: Mapped[int] = mapped_column(default=1)
    time_of_day: Mapped[str] = mapped_column(String(5))
    timezone: Mapped[str] = mapped_column(String(64))
    recipients: Mapped[list[Any]] = mapped_column(default=list)
    next_at: Mapped[datetime | None]
    last_at: Mapped[datetime | None]
    error_count: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[Document | None]
    enabled: Mapped[bool] = mapped_column(default=True)
    rests_with_event: Mapped[bool] = mapped_column(default=False, server_default=false())
