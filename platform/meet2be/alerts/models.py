"""Tables of a tenant's own channels for alerts, and of what goes to them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import Base, Named, Numbered, Stamped, TenantOwned, belongs_to, parent_key
from meet2be.db.columns import one_of
from meet2be.notifications.models import SEVERITIES

FORMS = ("slack", "webhook")
CHANNEL_STATUSES = ("enabled", "disabled")
DELIVERY_STATUSES = ("pending", "sent", "failed")


class AlertChannel(Numbered, Named, TenantOwned, Stamped, Base):
    """Where a tenant hears of its own notices: a Slack channel, or any receiver of JSON.

    `url` and `secret` are sealed: who has the address of a Slack channel may write into it. Notices
    below `severity` are not sent.
    """

    __tablename__ = "alert_channels"
    __table_args__ = (parent_key(),)

    name: Mapped[str] = mapped_column(String(120))
    form: Mapped[str] = mapped_column(one_of("form", FORMS))
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str | None] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(one_of("severity", SEVERITIES), default="warning")
    status: Mapped[str] = mapped_column(one_of("status", CHANNEL_STATUSES), default="enabled")
    fails_in_row: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(500))
    last_sent_at: Mapped[datetime | None]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))


class AlertDelivery(Numbered, Named, TenantOwned, Stamped, Base):
    """One notice on its way to one channel; its cause brings it there once."""

    __tablename__ = "alert_deliveries"
    __table_args__ = (
        UniqueConstraint("channel_id", "dedupe_key"),
        belongs_to("alert_channels", "channel_id"),
        Index(None, "tenant_id", "channel_id", "id"),
    )

    channel_id: Mapped[int]
    dedupe_key: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(64))
    severity: Mapped[str] = mapped_column(one_of("severity", SEVERITIES))
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text, default="")
    link: Mapped[str | None] = mapped_column(String(500))
    status: Mapped[str] = mapped_column(one_of("status", DELIVERY_STATUSES), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(500))
    sent_at: Mapped[datetime | None]
