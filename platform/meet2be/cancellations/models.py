"""Tables of cancel runs; the items are the checkpoint, progress is counted from them."""

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

RUN_STATES = (
    "preview", "confirmed", "running", "paused", "sweeping", "done", "done_with_errors", "aborted",
)  # fmt: skip
ACTIVE_RUN_STATES = ("confirmed", "running", "paused", "sweeping")
LANE_STATES = ("todo", "running", "done")
REFUND_STATES = (
    "todo", "none_needed", "sent", "pending", "done", "manual", "failed", "uncertain",
)  # fmt: skip
PAUSE_CODES = ("person", "provider", "tenant_suspended", "worker")
CANCEL_STATES = ("todo", "done")
MAIL_STATES = ("todo", "queued", "sent", "suppressed", "no_address", "failed", "uncertain")

_WITH_ERROR = text("error_code IS NOT NULL")
_SKIPPED = text("skip_reason IS NOT NULL")
_ACTIVE = text("state IN ('confirmed', 'running', 'paused', 'sweeping')")


class CancelRun(Numbered, Named, TenantOwned, Stamped, Base):
    """One cancellation of one event, from its preview to its report.

    Previews may be many; of the states from `confirmed` to `sweeping` the database allows one
    run per event, so a second admin's confirmation fails there. `preparation` is set while the
    items of a large run are written by its job (`cancellations.preparing`).
    """

    __tablename__ = "cancel_runs"
    __table_args__ = (
        belongs_to("events", "event_id"),
        parent_key(),
        Index(
            "uq_cancel_runs_event_id_active", "tenant_id", "event_id", unique=True,
            sqlite_where=_ACTIVE, postgresql_where=_ACTIVE,
        ),
        Index(None, "tenant_id", "event_id", "id"),
        CheckConstraint("lanes >= 1", name="has_lanes"),
        CheckConstraint("code_tries >= 0", name="tries_not_negative"),
    )  # fmt: skip

    event_id: Mapped[int]
    state: Mapped[str] = mapped_column(one_of("state", RUN_STATES), default="preview")
    lanes: Mapped[int] = mapped_column(default=1)
    options: Mapped[Document] = mapped_column(default=dict)
    preview: Mapped[Document] = mapped_column(default=dict)
    preview_hash: Mapped[str | None] = mapped_column(String(64))
    preparation: Mapped[Document | None]
    code_hash: Mapped[str | None] = mapped_column(String(255))
    code_expires_at: Mapped[datetime | None]
    code_tries: Mapped[int] = mapped_column(default=0)
    started_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    confirmed_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    batch_id: Mapped[str | None] = mapped_column(String(64))
    fence: Mapped[int] = mapped_column(default=0)
    paused_from: Mapped[str | None] = mapped_column(String(24))
    pause_code: Mapped[str | None] = mapped_column(one_of("pause_code", PAUSE_CODES))
    pause_reason: Mapped[str | None] = mapped_column(Text)
    resume_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    report_key: Mapped[str | None] = mapped_column(String(200))


class CancelLane(TenantOwned, Stamped, Base):
    """One of the run's parallel tracks; `fence` rises with each start of its job."""

    __tablename__ = "cancel_lanes"
    __table_args__ = (
        belongs_to("cancel_runs", "run_id"),
        CheckConstraint("lane >= 0 AND fence >= 0", name="not_negative"),
    )

    run_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lane: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fence: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(one_of("state", LANE_STATES), default="todo")
    job_id: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class CancelItem(Numbered, TenantOwned, Stamped, Base):
    """What the run does for one attendee, in three independent steps.

    Items settled by one refund share a `unit`; a unit is worked whole, by the lane
    `unit % run.lanes` (stored, so that it can be searched). The widest index holds all that the
    progress is counted from.
    """

    __tablename__ = "cancel_items"
    __table_args__ = (
        belongs_to("cancel_runs", "run_id"),
        belongs_to("attendees", "attendee_id"),
        belongs_to("orders", "order_id"),
        belongs_to("invoices", "invoice_id"),
        belongs_to("payments", "payment_id"),
        belongs_to("refunds", "refund_id"),
        belongs_to("mails", "mail_id"),
        UniqueConstraint("run_id", "attendee_id"),
        Index(None, "run_id", "lane", "refund_state", "unit"),
        Index(None, "run_id", "unit"),
        Index(
            "ix_cancel_items_progress", "run_id", "refund_state", "cancel_state", "mail_state",
            "currency", "error_code", "skip_reason", "planned_minor", "tenant_id",
        ),
        Index(
            "ix_cancel_items_states", "run_id", "mail_state", "refund_state", "unit", "id",
            "tenant_id",
        ),
        Index(
            "ix_cancel_items_error_code", "run_id", "error_code", "unit", "id", "tenant_id",
            sqlite_where=_WITH_ERROR, postgresql_where=_WITH_ERROR,
        ),
        Index(
            "ix_cancel_items_skip_reason", "run_id", "skip_reason", "unit", "id", "error_code",
            "tenant_id",
            sqlite_where=_SKIPPED, postgresql_where=_SKIPPED,
        ),
        Index(None, "refund_id"),
        Index(None, "mail_id"),
        CheckConstraint("planned_minor >= 0", name="planned_not_negative"),
    )  # fmt: skip

    run_id: Mapped[int]
    unit: Mapped[int]
    lane: Mapped[int]
    attendee_id: Mapped[int]
    order_id: Mapped[int]
    invoice_id: Mapped[int | None]
    payment_id: Mapped[int | None]
    name_snapshot: Mapped[str] = mapped_column(String(200))
    email_snapshot: Mapped[str | None] = mapped_column(String(320))
    locale: Mapped[str] = mapped_column(String(16))
    planned_minor: Mapped[int]
    kept_minor: Mapped[int] = mapped_column(default=0)
    currency: Mapped[str] = mapped_column(currency_code())
    refund_state: Mapped[str] = mapped_column(one_of("refund_state", REFUND_STATES), default="todo")
    refund_id: Mapped[int | None]
    cancel_state: Mapped[str] = mapped_column(one_of("cancel_state", CANCEL_STATES), default="todo")
    mail_state: Mapped[str] = mapped_column(one_of("mail_state", MAIL_STATES), default="todo")
    mail_id: Mapped[int | None]
    skip_reason: Mapped[str | None] = mapped_column(String(64))
    error_code: Mapped[str | None] = mapped_column(String(128))
    error_text: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
