"""The database: tables, engines, and sessions that keep tenants apart."""

from meet2be.db.base import Base
from meet2be.db.engine import make_engine
from meet2be.db.errors import (
    DatabaseError,
    ForeignTenantError,
    NotMigratedError,
    TenantScopeError,
    UnguardedStatementError,
    UnscopedSessionError,
)
from meet2be.db.migrating import check_migrated, upgrade
from meet2be.db.sessions import Database, GuardedSession, clock_of, reason_of, snapshot, tenant_of

__all__ = [
    "Base",
    "Database",
    "DatabaseError",
    "ForeignTenantError",
    "GuardedSession",
    "NotMigratedError",
    "TenantScopeError",
    "UnguardedStatementError",
    "UnscopedSessionError",
    "check_migrated",
    "clock_of",
    "make_engine",
    "reason_of",
    "snapshot",
    "tenant_of",
    "upgrade",
]
