"""Tables of invoices, credit notes and their number series."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
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

INVOICE_KINDS = ("invoice", "credit_note")
INVOICE_STATUSES = ("open", "paid", "void", "part_refunded", "refunded")


class Invoice(Numbered, Named, TenantOwned, Stamped, Base):
    """An invoice, or a credit note on one (`parent_id`).

    Which refund a credit note is for stands in `refunds.credit_note_id`, once.
    """

    __tablename__ = "invoices"
    __table_args__ = (
        belongs_to("events", "event_id"),
        belongs_to("orders", "order_id"),
        belongs_to("invoices", "parent_id"),
        parent_key(),
        UniqueConstraint("tenant_id", "number"),
        Index(None, "tenant_id", "order_id"),
        Index(None, "tenant_id", "event_id", "id"),
        Index(None, "tenant_id", "parent_id"),
        CheckConstraint("total_minor >= 0", name="total_not_negative"),
        CheckConstraint(
            "(kind = 'credit_note') = (parent_id IS NOT NULL)", name="credit_note_has_parent"
        ),
    )

    event_id: Mapped[int]
    order_id: Mapped[int]
    parent_id: Mapped[int | None]
    number: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(one_of("kind", INVOICE_KINDS), default="invoice")
    total_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(currency_code())
    status: Mapped[str] = mapped_column(one_of("status", INVOICE_STATUSES), default="open")
    issued_at: Mapped[datetime]
    pdf_key: Mapped[str | None] = mapped_column(String(200))


class NumberSeries(TenantOwned, Base):
    """The next number of a series; raised in the transaction that uses it, so without gaps."""

    __tablename__ = "number_series"
    __table_args__ = (CheckConstraint("next >= 1", name="starts_at_one"),)

    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(one_of("kind", INVOICE_KINDS), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    next: Mapped[int] = mapped_column(default=1)
