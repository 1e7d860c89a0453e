"""Tables of people, their web sessions, tokens sent to them and their attempts to log in.

None of these belongs to one tenant: a person may work for several, and is known before the
tenant is. Only `meet2be.accounts` reads them.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import Base, Named, Numbered, Stamped
from meet2be.db.columns import one_of

USER_STATUSES = ("invited", "active", "disabled", "erased")
TOKEN_PURPOSES = ("welcome", "password_reset", "invitation", "email_change")


class User(Numbered, Named, Stamped, Base):
    """A person who can log in; `is_operator` people look after the whole platform.

    `timezone`: in which zone the pages tell them times, None for their organisation's.
    """

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(320))
    email_norm: Mapped[str] = mapped_column(String(320), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    locale: Mapped[str] = mapped_column(String(16), default="en-GB")
    timezone: Mapped[str | None] = mapped_column(String(64))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(one_of("status", USER_STATUSES), default="active")
    is_operator: Mapped[bool] = mapped_column(default=False)
    welcome_sent_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]


class WebSession(Numbered, Base):
    """A browser that is logged in; `token_hash` is the SHA-256 of what its cookie holds."""

    __tablename__ = "web_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    tenant_id: Mapped[int | None] = mapped_column(ForeignKey("tenants.id"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(400))


class AccountToken(Numbered, Stamped, Base):
    """A secret sent by mail that lets a person do one thing once; only its SHA-256 is kept."""

    __tablename__ = "account_tokens"
    __table_args__ = (Index(None, "user_id", "purpose"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    tenant_id: Mapped[int | None] = mapped_column(ForeignKey("tenants.id"))
    purpose: Mapped[str] = mapped_column(one_of("purpose", TOKEN_PURPOSES))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class LoginAttempt(Numbered, Base):
    """One try to log in. `subject` is a normalised address or an IP: both are braked."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index(None, "subject", "at"),)

    subject: Mapped[str] = mapped_column(String(330))
    at: Mapped[datetime] = mapped_column(index=True)
    succeeded: Mapped[bool]
