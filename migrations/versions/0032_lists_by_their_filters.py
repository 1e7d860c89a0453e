"""Indexes for the lists of pages and of the interface, so that none reads all rows of a million.

Where a list is ordered by time, its indexes go on with the time. A list of one kind is put together
of one way along an index for each state.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

NEW: Final[dict[str, list[tuple[str, ...]]]] = {
    "attendees": [("tenant_id", "event_id", "ticket_type_id", "name_key", "id")],
    "refunds": [
        ("tenant_id", "mode", "status", "id"),
        ("tenant_id", "provider_refund_id"),
    ],
    "mails": [
        ("tenant_id", "created_at", "id"),
        ("tenant_id", "status", "created_at", "id"),
        ("tenant_id", "kind", "status", "created_at", "id"),
        ("tenant_id", "to_norm", "created_at", "id"),
    ],
    "mail_suppressions": [("tenant_id", "id")],
    "orders": [("tenant_id", "event_id", "status", "id"), ("tenant_id", "status", "id")],
    "audit_log": [
        ("tenant_id", "at", "id"),
        ("tenant_id", "action", "actor_kind", "at", "id"),
        ("tenant_id", "actor_kind", "at", "id"),
        ("tenant_id", "actor_kind", "actor_id", "at", "id"),
        ("tenant_id", "object_id", "at", "id"),
    ],
    "imports": [("tenant_id", "kind", "id")],
    "exports": [
        ("tenant_id", "state", "id"),
        ("tenant_id", "event_id", "state", "id"),
        ("tenant_id", "created_at"),
    ],
    "notifications": [("tenant_id", "user_id", "id")],
    "provider_events": [("event_id",), ("type", "id")],
    "webhook_deliveries": [
        ("tenant_id", "created_at", "id"),
        ("tenant_id", "status", "created_at", "id"),
        ("tenant_id", "type", "created_at", "id"),
    ],
}
OLD: Final[dict[str, list[tuple[str, ...]]]] = {
    "mails": [("tenant_id", "status", "id"), ("tenant_id", "to_norm", "id")],
    "orders": [("tenant_id", "event_id", "status")],
    "audit_log": [("tenant_id", "at"), ("tenant_id", "actor_kind", "actor_id", "id")],
    "cancel_items": [("run_id", "mail_state")],
    "webhook_deliveries": [
        ("tenant_id", "status", "id"),
        ("tenant_id", "endpoint_id", "id"),
        ("tenant_id", "type", "id"),
    ],
}
NAMED: Final[dict[str, tuple[str, tuple[str, ...], str | None]]] = {
    "ix_cancel_items_states": (
        "cancel_items",
        ("run_id", "mail_state", "refund_state", "unit", "id", "tenant_id"),
        None,
    ),
    "ix_cancel_items_error_code": (
        "cancel_items",
        ("run_id", "error_code", "unit", "id", "tenant_id"),
        "error_code IS NOT NULL",
    ),
    "ix_cancel_items_skip_reason": (
        "cancel_items",
        ("run_id", "skip_reason", "unit", "id", "error_code", "tenant_id"),
        "skip_reason IS NOT NULL",
    ),
    "ix_provider_events_seen": ("provider_events", ("id",), "seen_at IS NOT NULL"),
    "ix_webhook_deliveries_of_endpoint": (
        "webhook_deliveries",
        ("tenant_id", "endpoint_id", "status", "created_at", "id"),
        None,
    ),
}


def upgrade() -> None:
    _collate_actions("C")
    _make(NEW)
    for name, (table, columns, where) in NAMED.items():
        only = None if where is None else sa.text(where)
        op.create_index(name, table, list(columns), sqlite_where=only, postgresql_where=only)
    _drop(OLD)


def downgrade() -> None:
    _make(OLD)
    for name, (table, _columns, _where) in NAMED.items():
        op.drop_index(name, table)
    _drop(NEW)
    _collate_actions("default")


def _make(indexes: dict[str, list[tuple[str, ...]]]) -> None:
    for table, each in indexes.items():
        for columns in each:
            op.create_index(_name(table, columns), table, list(columns))


def _drop(indexes: dict[str, list[tuple[str, ...]]]) -> None:
    for table, each in indexes.items():
        for columns in each:
            op.drop_index(_name(table, columns), table)


def _name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"


def _collate_actions(collation: str) -> None:
    """Let PostgreSQL order actions by their letters' codes, as SQLite does, or as it would."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f'ALTER TABLE audit_log ALTER COLUMN action TYPE VARCHAR(64) COLLATE "{collation}"'
        )
