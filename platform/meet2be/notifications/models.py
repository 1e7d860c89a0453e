"""Tables of notices for a person, and of how they want to hear them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import Base, Named, Numbered, Stamped, TenantOwned
from meet2be.db.columns import one_of

SEVERITIES = ("info", "success", "warning", "error")
PREFERENCE_CHANNELS = ("page", "mail")


class Notification(Numbered, Named, TenantOwned, Stamped, Base):
    """A notice for one person; `dedupe_key` names its cause, so that it comes once."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "dedupe_key"),
        Index(None, "tenant_id", "user_id", "read_at", "id"),
        Index(None, "tenant_id", "user_id", "id"),
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(64))
    severity: Mapped[str] = mapped_column(one_of("severity", SEVERITIES), default="info")
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text, default="")
    link: Mapped[str | None] = mapped_column(String(500))
    related_type: Mapped[str | None] = mapped_column(String(64))
    related_id: Mapped[int | None]
    dedupe_key: Mapped[str] = mapped_column(String(200))
    read_at: Mapped[datetime | None]


class NotificationPref(Numbered, TenantOwned, Stamped, Base):
    """What a person said about one kind of notice and one way to hear it; else the default."""

    __tablename__ = "notification_prefs"
    __table_args__ = (UniqueConstraint("tenant_id", "user_id", "kind", "channel"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(one_of("channel", PREFERENCE_CHANNELS))
    enabled: Mapped[bool]
