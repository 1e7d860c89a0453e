"""Tables of payments, the refund ledger, the provider's messages and its circuit breaker."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
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
from meet2be.db.columns import Document, currency_code, one_of

PAYMENT_STATUSES = ("created", "pending", "succeeded", "failed", "disputed")
REFUND_MODES = ("auto", "manual", "external", "credit")
REFUND_SOURCES = ("cancel_run", "organiser", "buyer", "chain", "provider")
REFUND_STATUSES = (
    "planned", "sending", "uncertain", "pending", "succeeded", "failed", "cancelled",
)  # fmt: skip
CIRCUIT_STATES = ("closed", "open", "half_open")

# A refund that did not happen does not stand in the way of another one of the same run.
_LIVE_REFUND = text("status NOT IN ('failed', 'cancelled')")

_SEEN = text("seen_at IS NOT NULL")

# The few that no cancel run looks after and that are not settled: these are swept up.
_ALONE = text("run_id IS NULL AND settled_at IS NULL")


class Payment(Numbered, Named, TenantOwned, Stamped, Base):
    """Money that came in for an order; the unit that is refunded.

    `reserved_minor` is on its way back, `refunded_minor` is back. The database itself refuses
    more of both together than came in. `page_ref` is the provider's own page where it is paid;
    at `look_at` the provider is asked what became of it, should no message have told.
    """

    __tablename__ = "payments"
    __table_args__ = (
        belongs_to("orders", "order_id"),
        belongs_to("invoices", "invoice_id"),
        parent_key(),
        UniqueConstraint("provider", "provider_ref"),
        UniqueConstraint("tenant_id", "key"),
        Index("uq_payments_provider_page_ref", "provider", "page_ref", unique=True),
        Index(None, "tenant_id", "order_id"),
        Index(None, "look_at"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(
            "reserved_minor >= 0 AND refunded_minor >= 0"
            " AND reserved_minor + refunded_minor <= amount_minor",
            name="never_over_refunded",
        ),
    )

    order_id: Mapped[int]
    invoice_id: Mapped[int | None]
    provider: Mapped[str] = mapped_column(String(32))
    provider_account: Mapped[str | None] = mapped_column(String(64))
    provider_ref: Mapped[str | None] = mapped_column(String(128))
    method: Mapped[str] = mapped_column(String(32), default="card")
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(currency_code())
    reserved_minor: Mapped[int] = mapped_column(default=0)
    refunded_minor: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(one_of("status", PAYMENT_STATUSES))
    test_mode: Mapped[bool] = mapped_column(default=False)
    key: Mapped[str | None] = mapped_column(String(128))
    paid_at: Mapped[datetime | None]
    page_ref: Mapped[str | None] = mapped_column(String(255))
    look_at: Mapped[datetime | None]


class Refund(Numbered, Named, TenantOwned, Stamped, Base):
    """One decision to pay money back, and how far it got. Its amount never changes.

    `lane` is the lane of the cancel run that sends it, so that a restarted lane finds its own.
    `replaces_id` is the refund that came to nothing and that this one was begun in place of.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        belongs_to("payments", "payment_id"),
        belongs_to("invoices", "invoice_id"),
        belongs_to("invoices", "credit_note_id"),
        belongs_to("orders", "order_id"),
        belongs_to("attendees", "attendee_id"),
        belongs_to("cancel_runs", "run_id"),
        parent_key(),
        UniqueConstraint("idempotency_key"),
        UniqueConstraint("payment_id", "seq"),
        UniqueConstraint("provider", "provider_refund_id"),
        UniqueConstraint("tenant_id", "credit_note_id"),
        Index(
            "uq_refunds_run_id_payment_id_live", "run_id", "payment_id", unique=True,
            sqlite_where=_LIVE_REFUND, postgresql_where=_LIVE_REFUND,
        ),
        Index(
            "ix_refunds_lease_until_alone", "lease_until",
            sqlite_where=_ALONE, postgresql_where=_ALONE,
        ),
        Index(None, "tenant_id", "run_id", "status"),
        Index(None, "run_id", "lane", "status"),
        Index(None, "run_id", "settled_at"),
        Index(None, "tenant_id", "order_id"),
        Index(None, "tenant_id", "status", "id"),
        Index(None, "tenant_id", "mode", "status", "id"),
        Index(None, "tenant_id", "provider_refund_id"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(
            "mode NOT IN ('auto', 'external') OR payment_id IS NOT NULL", name="auto_has_payment"
        ),
    )  # fmt: skip

    payment_id: Mapped[int | None]
    invoice_id: Mapped[int | None]
    credit_note_id: Mapped[int | None]
    order_id: Mapped[int]
    attendee_id: Mapped[int | None]
    run_id: Mapped[int | None]
    lane: Mapped[int | None]
    replaces_id: Mapped[int | None]
    seq: Mapped[int]
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(currency_code())
    mode: Mapped[str] = mapped_column(one_of("mode", REFUND_MODES), default="auto")
    source: Mapped[str] = mapped_column(one_of("source", REFUND_SOURCES))
    status: Mapped[str] = mapped_column(one_of("status", REFUND_STATUSES), default="planned")
    idempotency_key: Mapped[str] = mapped_column(String(128))
    provider: Mapped[str | None] = mapped_column(String(32))
    provider_refund_id: Mapped[str | None] = mapped_column(String(128))
    provider_status: Mapped[str | None] = mapped_column(String(64))
    pending_reason: Mapped[str | None] = mapped_column(String(128))
    failure_code: Mapped[str | None] = mapped_column(String(128))
    failure_text: Mapped[str | None] = mapped_column(Text)
    requested_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    reason: Mapped[str | None] = mapped_column(Text)
    lease_token: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class RefundAttempt(Numbered, TenantOwned, Base):
    """One call to the provider for a refund; `outcome` is empty while it is under way."""

    __tablename__ = "refund_attempts"
    __table_args__ = (belongs_to("refunds", "refund_id"), UniqueConstraint("refund_id", "n"))

    refund_id: Mapped[int]
    n: Mapped[int]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(32))
    http_status: Mapped[int | None]
    provider_code: Mapped[str | None] = mapped_column(String(128))
    excerpt: Mapped[str | None] = mapped_column(Text)


class ProviderEvent(Numbered, Base):
    """A message of the provider, kept once for ever: the inbox that tells repeats apart.

    It is no tenant's until it is processed; then the work is done in that tenant's own session.
    `seen_at` and `note`: an operator looked at one that matched nothing, and what they found.
    """

    __tablename__ = "provider_events"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        Index(None, "processed_at", "id"),
        Index(None, "result", "id"),
        Index(None, "event_id"),
        Index(None, "type", "id"),
        Index("ix_provider_events_seen", "id", sqlite_where=_SEEN, postgresql_where=_SEEN),
    )

    provider: Mapped[str] = mapped_column(String(32))
    account: Mapped[str | None] = mapped_column(String(64))
    event_id: Mapped[str] = mapped_column(String(128))
    type: Mapped[str] = mapped_column(String(128))
    payload: Mapped[Document]
    received_at: Mapped[datetime]
    processed_at: Mapped[datetime | None]
    result: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(default=0)
    seen_at: Mapped[datetime | None]
    note: Mapped[str | None] = mapped_column(Text)


class ProviderCircuit(Numbered, Stamped, Base):
    """Whether calls to a provider's account make sense at the moment.

    `recent` holds the last outcomes, newest last, one letter each (`s` success, `f` failure).
    """

    __tablename__ = "provider_circuits"
    __table_args__ = (
        UniqueConstraint("provider", "account"),
        CheckConstraint("failures_in_row >= 0", name="failures_not_negative"),
    )

    provider: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(64), default="")
    state: Mapped[str] = mapped_column(one_of("state", CIRCUIT_STATES), default="closed")
    failures_in_row: Mapped[int] = mapped_column(default=0)
    recent: Mapped[str] = mapped_column(String(200), default="")
    reason: Mapped[str | None] = mapped_column(Text)
    opened_at: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]
    probe_token: Mapped[str | None] = mapped_column(String(64))
    probe_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
