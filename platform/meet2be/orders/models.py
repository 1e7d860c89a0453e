"""Table of orders."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint
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
from meet2be.db.columns import currency_code, one_of

ORDER_STATUSES = ("draft", "pending", "paid", "cancelled", "expired", "failed")


class Order(Numbered, Named, TenantOwned, Stamped, Base):
    """What was bought in one go, under one code; holds one attendee per ticket."""

    __tablename__ = "orders"
    __table_args__ = (
        belongs_to("events", "event_id"),
        parent_key(),
        UniqueConstraint("tenant_id", "code"),
        Index(None, "tenant_id", "event_id", "status"),
        CheckConstraint("total_minor >= 0", name="total_not_negative"),
    )

    event_id: Mapped[int]
    code: Mapped[str] = mapped_column(String(64))
    buyer_name: Mapped[str] = mapped_column(String(200))
    buyer_email: Mapped[str | None] = mapped_column(String(320))
    buyer_email_norm: Mapped[str | None] = mapped_column(String(320))
    locale: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(one_of("status", ORDER_STATUSES), default="pending")
    total_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(currency_code())
    test_mode: Mapped[bool] = mapped_column(default=False)
    paid_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
