"""Tables of tenants and of the people who work for them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import Base, Named, Numbered, Stamped, TenantOwned, parent_key
from meet2be.db.columns import Document, currency_code, one_of

TENANT_STATUSES = ("active", "suspended", "closing")
ROLES = ("owner", "admin", "organiser", "viewer")
OPEN = text("accepted_at IS NULL AND withdrawn_at IS NULL")


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
    suspended_reason: Mapped[str | None] = mapped_column(Text)
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


class Invitation(Numbered, Named, TenantOwned, Stamped, Base):
    """An address that was asked to join a tenant; `token_hash` is of the mailed link's secret."""

    __tablename__ = "invitations"
    __table_args__ = (
        Index(
            "uq_invitations_open", "tenant_id", "email_norm",
            unique=True, sqlite_where=OPEN, postgresql_where=OPEN,
        ),
    )  # fmt: skip

    email: Mapped[str] = mapped_column(String(320))
    email_norm: Mapped[str] = mapped_column(String(320))
    role: Mapped[str] = mapped_column(one_of("role", ROLES))
    locale: Mapped[str] = mapped_column(String(16))
    invited_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    sent_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    withdrawn_at: Mapped[datetime | None]

    @property
    def status(self) -> str:
        """What became of it: `accepted`, `withdrawn`, or `open`, also when its time is over."""
        if self.accepted_at is not None:
            return "accepted"
        return "open" if self.withdrawn_at is None else "withdrawn"


class SignUp(Numbered, Stamped, Base):
    """An organisation that is to be made once its owner has opened the mailed link."""

    __tablename__ = "sign_ups"

    email: Mapped[str] = mapped_column(String(320))
    email_norm: Mapped[str] = mapped_column(String(320))
    tenant_name: Mapped[str] = mapped_column(String(200))
    slug: Mapped[str] = mapped_column(String(64))
    timezone: Mapped[str] = mapped_column(String(64))
    currency: Mapped[str] = mapped_column(currency_code())
    locale: Mapped[str] = mapped_column(String(16))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    confirmed_at: Mapped[datetime | None]
    tenant_id: Mapped[int | None] = mapped_column(ForeignKey("tenants.id"))


class SenderCheck(Numbered, TenantOwned, Stamped, Base):
    """A sender address that waits for the code which was mailed to it; one a tenant."""

    __tablename__ = "sender_checks"
    __table_args__ = (UniqueConstraint("tenant_id"),)

    email: Mapped[str] = mapped_column(String(320))
    name: Mapped[str] = mapped_column(String(200))
    code_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    asked_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
