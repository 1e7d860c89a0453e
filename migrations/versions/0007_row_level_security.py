"""Row-level security on PostgreSQL: a tenant's transaction sees that tenant's rows only.

The application names its tenant in `app.tenant`, or, for the platform's own work, a reason in
`app.system`, at the beginning of each transaction. Neither: no rows. After a commit PostgreSQL
leaves an empty string behind rather than NULL, hence nullif.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TENANT = "nullif(current_setting('app.tenant', true), '')::bigint"
SYSTEM = "nullif(current_setting('app.system', true), '') IS NOT NULL"
OWNED = (
    "memberships", "events", "ticket_types", "orders", "invoices", "number_series", "payments",
    "attendees", "mails", "email_log", "notifications", "cancel_runs", "cancel_lanes", "refunds",
    "refund_attempts", "cancel_items", "audit_log",
)  # fmt: skip
SHARED = ("mail_suppressions",)


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in OWNED:
        protect(table, f"tenant_id = {TENANT} OR {SYSTEM}")
    protect("tenants", f"id = {TENANT} OR {SYSTEM}")
    for table in SHARED:
        protect(table, f"tenant_id = {TENANT} OR {SYSTEM}")
        op.execute(f"CREATE POLICY shared ON {table} FOR SELECT USING (tenant_id IS NULL)")


def protect(table: str, rule: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} USING ({rule}) WITH CHECK ({rule})")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in SHARED:
        op.execute(f"DROP POLICY shared ON {table}")
    for table in (*OWNED, "tenants", *SHARED):
        op.execute(f"DROP POLICY tenant ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
