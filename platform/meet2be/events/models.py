"""Tables of events and their ticket types."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
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
from meet2be.db.columns import UID_LENGTH, currency_code, new_uid, one_of

EVENT_STATUSES = ("draft", "live", "cancelling", "cancelled", "archived")


class Event(Numbered, Named, TenantOwned, Stamped, Base):
    """A conference or concert. `version` rises with each change.

    `capacity`: how many tickets of all kinds together; empty means as many as the kinds have.
    Tickets are sold from `on_sale_from` until `on_sale_until`; empty ends stand open. A draft with
    `unpublished_at` was on its public page before. `archived_from` is the state an archived one
    had.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("tenant_id", "slug"),
        parent_key(),
        Index(None, "tenant_id", "starts_at", "id"),
    )

    slug: Mapped[str] = mapped_column(String(80))
    title: Mapped[str] = mapped_column(String(200))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    timezone: Mapped[str] = mapped_column(String(64))
    currency: Mapped[str] = mapped_column(currency_code())
    status: Mapped[str] = mapped_column(one_of("status", EVENT_STATUSES), default="draft")
    test_mode: Mapped[bool] = mapped_column(default=False)
    cancelled_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    description: Mapped[str | None] = mapped_column(Text)
    place: Mapped[str | None] = mapped_column(String(200))
    capacity: Mapped[int | None]
    on_sale_from: Mapped[datetime | None]
    on_sale_until: Mapped[datetime | None]
    unpublished_at: Mapped[datetime | None]
    archived_at: Mapped[datetime | None]
    archived_from: Mapped[str | None] = mapped_column(String(16))


class TicketType(Numbered, TenantOwned, Stamped, Base):
    """A kind of ticket; never more held and sold than the quota.

    `is_shipped`: a printed ticket that goes out by post. `tax_bp`: the tax within the price, in
    basis points (1900 is 19 %). `position` sorts kinds, the same one by price. A hidden kind is
    sold only by its own address; a closed one not at all.
    """

    __tablename__ = "ticket_types"
    __table_args__ = (
        belongs_to("events", "event_id"),
        parent_key(),
        UniqueConstraint("tenant_id", "event_id", "name"),
        Index("uq_ticket_types_uid", "uid", unique=True),
        CheckConstraint("price_minor >= 0", name="price_not_negative"),
        CheckConstraint("held >= 0 AND sold >= 0 AND held + sold <= quota", name="within_quota"),
    )

    # Empty only in rows that a release before this column writes while both are running.
    uid: Mapped[str] = mapped_column(
        String(UID_LENGTH), default=new_uid, nullable=True, sort_order=-10
    )
    event_id: Mapped[int]
    name: Mapped[str] = mapped_column(String(120))
    price_minor: Mapped[int]
    quota: Mapped[int]
    held: Mapped[int] = mapped_column(default=0)
    sold: Mapped[int] = mapped_column(default=0)
    is_shipped: Mapped[bool] = mapped_column(default=False, server_default=false())
    tax_bp: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    position: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    is_hidden: Mapped[bool] = mapped_column(default=False, server_default=false())
    on_sale_from: Mapped[datetime | None]
    on_sale_until: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
