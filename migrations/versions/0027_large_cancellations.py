"""Cancellations of large events: written by their job, counted and leafed through by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BY_STATE, BY_PAYMENT = "ix_cancel_items_progress", "ix_attendees_event_id_payment_id"
OLD = "ix_cancel_items_run_id_refund_state"


def upgrade() -> None:
    op.add_column("cancel_runs", sa.Column("preparation", JSON))
    counted = [
        "run_id", "refund_state", "cancel_state", "mail_state", "currency", "error_code",
        "skip_reason", "planned_minor", "tenant_id",
    ]  # fmt: skip
    op.create_index(BY_STATE, "cancel_items", counted)
    op.drop_index(OLD, "cancel_items")
    op.create_index(BY_PAYMENT, "attendees", ["tenant_id", "event_id", "payment_id", "id"])


def downgrade() -> None:
    op.drop_index(BY_PAYMENT, "attendees")
    op.create_index(OLD, "cancel_items", ["run_id", "refund_state"])
    op.drop_index(BY_STATE, "cancel_items")
    op.drop_column("cancel_runs", "preparation")
