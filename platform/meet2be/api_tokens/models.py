"""Tables of API tokens and of the answers that a repeated request gets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
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

LONGEST_KEY = 200
LONGEST_NAME = 120


class ApiToken(Numbered, Named, TenantOwned, Stamped, Base):
    """What a program shows to act for one person in one tenant.

    Only the SHA-256 of the token is kept; `prefix` is its beginning, by which people tell tokens
    apart. It may what its `scopes` say and its person may, and ends with their membership.
    """

    __tablename__ = "api_tokens"
    __table_args__ = (parent_key(),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    prefix: Mapped[str] = mapped_column(String(40))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[Any]] = mapped_column(default=list)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_used_ip: Mapped[str | None] = mapped_column(String(45))
    revoked_at: Mapped[datetime | None]


class RememberedAnswer(Numbered, TenantOwned, Stamped, Base):
    """What was answered to a request with an `Idempotency-Key`, sealed.

    While a request is worked on, `locked_at` and `lock_token` are set and there is no answer;
    whoever comes long after `locked_at` takes it over.
    """

    __tablename__ = "api_idempotency"
    __table_args__ = (belongs_to("api_tokens", "token_id"), UniqueConstraint("token_id", "key"))

    token_id: Mapped[int]
    key: Mapped[str] = mapped_column(String(LONGEST_KEY))
    method: Mapped[str] = mapped_column(String(8))
    path: Mapped[str] = mapped_column(String(500))
    body_hash: Mapped[str] = mapped_column(String(64))
    locked_at: Mapped[datetime | None]
    lock_token: Mapped[str | None] = mapped_column(String(32))
    status_code: Mapped[int | None]
    response: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(index=True)
