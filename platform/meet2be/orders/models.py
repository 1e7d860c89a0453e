"""Tables of orders: what was bought, the stock it took, the steps it goes through, parcels."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint, text
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
from meet2be.db.columns import Document, currency_code, one_of

ORDER_STATUSES = ("draft", "pending", "paid", "cancelled", "expired", "failed")
MOVE_KINDS = ("hold", "commit", "release", "return")
STEPS = (
    "validate_order", "process_payment", "update_inventory", "calculate_shipping",
    "create_shipping_label", "send_confirmation", "notify_warehouse",
)  # fmt: skip
STEP_STATES = ("todo", "doing", "waiting", "done", "failed", "compensated", "dropped")
SHIPMENT_STATUSES = ("labelled", "void")
NAMES_FILES = {
    "sqlite": "(json_extract(result, '$.printed') IS NOT NULL"
    " OR json_extract(result, '$.going') IS NOT NULL)",
    "postgresql": "((result ->> 'printed') IS NOT NULL OR (result ->> 'going') IS NOT NULL)",
}
"""By database: the few steps whose results name files. An index of them is found by these words."""


class Order(Numbered, Named, TenantOwned, Stamped, Base):
    """What was bought in one go, under one code; holds one attendee per ticket.

    Orders of the checkout page have a `client_key` (one order however often the button is
    pressed) and a `buyer_key`, the secret of the buyer's own page; imported ones have neither.
    Until `expires_at` their tickets are held; `placed_from` is a mark made of the address of
    their buyer's connection, kept while that is so.
    """

    __tablename__ = "orders"
    __table_args__ = (
        belongs_to("events", "event_id"),
        parent_key(),
        UniqueConstraint("tenant_id", "code"),
        Index(None, "tenant_id", "event_id", "status", "id"),
        Index(None, "tenant_id", "status", "id"),
        Index(None, "tenant_id", "buyer_email_norm"),
        Index(None, "tenant_id", "placed_from"),
        Index(None, "status", "expires_at"),
        Index("uq_orders_client_key", "tenant_id", "client_key", unique=True),
        Index("uq_orders_buyer_key", "buyer_key", unique=True),
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
    client_key: Mapped[str | None] = mapped_column(String(64))
    buyer_key: Mapped[str | None] = mapped_column(String(64))
    expires_at: Mapped[datetime | None]
    shipping_minor: Mapped[int | None]
    shipping_address: Mapped[Document | None]
    payment_method: Mapped[str | None] = mapped_column(String(255))
    problem: Mapped[str | None] = mapped_column(String(128))
    placed_from: Mapped[str | None] = mapped_column(String(64))


class OrderLine(Numbered, TenantOwned, Stamped, Base):
    """So many tickets of one kind, at the price that was agreed on; minor units.

    `holders` are the names and addresses for the tickets; they are emptied once the attendees
    exist, which know them from then on.
    """

    __tablename__ = "order_lines"
    __table_args__ = (
        belongs_to("orders", "order_id"),
        belongs_to("ticket_types", "ticket_type_id"),
        parent_key(),
        UniqueConstraint("order_id", "ticket_type_id"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("unit_minor >= 0 AND total_minor >= 0", name="money_not_negative"),
    )

    order_id: Mapped[int]
    ticket_type_id: Mapped[int]
    quantity: Mapped[int]
    unit_minor: Mapped[int]
    fee_minor: Mapped[int] = mapped_column(default=0)
    tax_minor: Mapped[int] = mapped_column(default=0)
    total_minor: Mapped[int]
    holders: Mapped[list[Any]] = mapped_column(default=list)


class StockMove(Numbered, TenantOwned, Stamped, Base):
    """Tickets of a kind that an order took or gave back: each kind of move once an order.

    A step that runs again finds its move and moves nothing. Only a `return` grows, ticket by
    ticket, under the lock of the attendee that is cancelled.
    """

    __tablename__ = "stock_moves"
    __table_args__ = (
        belongs_to("orders", "order_id"),
        belongs_to("ticket_types", "ticket_type_id"),
        UniqueConstraint("order_id", "ticket_type_id", "kind"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    order_id: Mapped[int]
    ticket_type_id: Mapped[int]
    kind: Mapped[str] = mapped_column(one_of("kind", MOVE_KINDS))
    quantity: Mapped[int]
    expires_at: Mapped[datetime | None]


class OrderStep(Numbered, TenantOwned, Stamped, Base):
    """How far one step of an order is. `key` is what makes its effect elsewhere happen once."""

    __tablename__ = "order_steps"
    __table_args__ = (
        belongs_to("orders", "order_id"),
        UniqueConstraint("order_id", "step"),
        UniqueConstraint("key"),
        Index(None, "state", "updated_at"),
        Index(
            "ix_order_steps_files",
            "id",
            sqlite_where=text(NAMES_FILES["sqlite"]),
            postgresql_where=text(NAMES_FILES["postgresql"]),
        ),
        CheckConstraint("attempts >= 0", name="attempts_not_negative"),
    )

    order_id: Mapped[int]
    step: Mapped[str] = mapped_column(one_of("step", STEPS))
    state: Mapped[str] = mapped_column(one_of("state", STEP_STATES), default="todo")
    attempts: Mapped[int] = mapped_column(default=0)
    key: Mapped[str] = mapped_column(String(160))
    result: Mapped[Document] = mapped_column(default=dict)
    error: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Shipment(Numbered, Named, TenantOwned, Stamped, Base):
    """The parcel of an order: who carries it, under which number, and its label's lines."""

    __tablename__ = "shipments"
    __table_args__ = (
        belongs_to("orders", "order_id"),
        UniqueConstraint("order_id"),
        UniqueConstraint("tenant_id", "carrier", "parcel_no"),
        CheckConstraint("cost_minor >= 0", name="cost_not_negative"),
    )

    order_id: Mapped[int]
    carrier: Mapped[str] = mapped_column(String(32))
    parcel_no: Mapped[str] = mapped_column(String(64))
    cost_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(currency_code())
    label: Mapped[Document] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(one_of("status", SHIPMENT_STATUSES), default="labelled")
