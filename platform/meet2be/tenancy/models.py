"""Tables of tenants and of the people who work for them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import Base, Named, Numbered, Stamped, TenantOwned, parent_key
from meet2be.db.columns import Document, currency_code, one_of

TENANT_STATUSES = ("active", "suspended", "closing")
ROLES = ("owner", "admin", "organiser", "viewer")


class Tenant(Numbered, Named, Stamped, Base):
    """An organisation that runs its events on the platform.

    `confirm_limit_minor`: a cancellation that pays back more than this, in minor units of
    `currency`, needs a mailed code.
    """

    __tablename__ = "tenants"
    __table_args__ = (CheckConstraint("confirm_limit_minor >= 0", name="limit_not_negative"),)

    slug: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(one_of("status", TENANT_STATUSES), default="active")
    suspended_at: Mapped[datetime | None]
    locale: Mapped[str] = mapped_column(String(16), default="en-GB")
    timezone: Mapped[str] = mapped_column(String(64), default="Europe/Berlin")
    currency: Mapped[str] = mapped_column(currency_code(), default="EUR")
    sender_name: Mapped[str | None] = mapped_column(String(200))
    sender_email: Mapped[str | None] = mapped_column(String(320))
    sender_verified_at: Mapped[datetime | None]
    reply_to: Mapped[str | None] = mapped_column(String(320))
    storage_prefix: Mapped[str | None] = mapped_column(String(120), unique=True)
    confirm_limit_minor: Mapped[int] = mapped_column(default=10_000)
    settings: Mapped[Document] = mapped_column(default=dict)


class Membership(Numbered, TenantOwned, Stamped, Base):
    """A person's place and role in one tenant."""

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("tenant_id", "user_id"), parent_key())

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    role: Mapped[str] = mapped_column(one_of("role", ROLES))
