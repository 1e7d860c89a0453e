"""What the database layer refuses, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError, OperationalError

from meet2be.errors import Meet2BeError

_BUSY_OR_LOCKED = frozenset({5, 6})
"""SQLite's primary result codes: https://www.sqlite.org/rescode.html"""
_AWAY = ("08", "40", "53300", "55P03", "57P")
"""How SQLSTATEs begin of connections that broke, transactions that lost to another one, too many
connections, locks that others hold, and shutdowns: PostgreSQL's manual, appendix A."""


def is_away(error: DBAPIError) -> bool:
    """Tell whether the database did not serve us rather than that the statement was wrong.

    SQLite: somebody else wrote for longer than we wait. PostgreSQL: it cannot be reached, shuts
    down, or gave somebody else the lock.
    """
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _BUSY_OR_LOCKED
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state.startswith(_AWAY)
    return error.connection_invalidated or isinstance(error, OperationalError)


class DatabaseError(Meet2BeError):
    """Anything the database layer refuses."""


class TenantScopeError(DatabaseError):
    """Something would have crossed the border between tenants."""


class UnscopedSessionError(TenantScopeError):
    """A session that was bound to no tenant touched rows of tenants."""

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(
            f"a session without a tenant may not touch '{table}'. "
            "Use Database.tenant_session(tenant_id), or system_session(reason) for the platform's "
            "own work."
        )


class ForeignTenantError(TenantScopeError):
    """A row of one tenant was handed to a session of another."""

    def __init__(self, table: str, *, row_tenant: object, session_tenant: int | None) -> None:
        self.table = table
        self.row_tenant = row_tenant
        self.session_tenant = session_tenant
        super().__init__(
            f"a row of '{table}' belongs to tenant {row_tenant!r}, the session to tenant "
            f"{session_tenant}. Open a session of the row's own tenant."
        )


class UnguardedStatementError(TenantScopeError):
    """A statement that the session cannot confine to its tenant."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(
            f"a tenant's session cannot confine {what} to its tenant. "
            "Say it with mapped classes and WHERE, or use system_session(reason)."
        )


class ReadOnlySessionError(DatabaseError):
    """A session opened for reading was asked to write."""

    def __init__(self) -> None:
        super().__init__(
            "this session was opened with read_only=True and writes nothing. Open one without it."
        )


class UnknownTenantError(DatabaseError):
    """A tenant's session was asked for with something that is no tenant's number."""

    def __init__(self, value: object) -> None:
        self.value = value
        super().__init__(f"{value!r} is no tenant's number. Pass `Tenant.id`, a whole number.")


class NotMigratedError(DatabaseError):
    """The database's tables are not those this release works with."""

    def __init__(
        self, found: Sequence[str], wanted: Sequence[str], *, is_known: bool = True
    ) -> None:
        self.found = tuple(found)
        self.wanted = tuple(wanted)
        stands = ", ".join(f"'{revision}'" for revision in found) or "nothing (it is empty)"
        then = (
            "Run `meet2be db upgrade`."
            if is_known
            else "It was made by a newer release: deploy that one, or name another DATABASE_URL."
        )
        super().__init__(
            f"the database is at {stands}, this release needs "
            f"{', '.join(repr(revision) for revision in wanted)}. {then}"
        )


class DatabaseAwayError(DatabaseError):
    """The database does not answer, or what is there is none."""

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        self.why = why
        super().__init__(
            f"the database at '{url}' cannot be used: {why}. Check DATABASE_URL, and that the "
            "database is up and may be read."
        )


class MigrationsMissingError(DatabaseError):
    """The folder with the migrations is not where it should be."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        super().__init__(
            f"there are no migrations in '{folder}'. They are run from a checkout of the project, "
            "not from the wheel."
        )


class PowerfulRoleError(DatabaseError):
    """The application logs in to PostgreSQL as somebody whom row security does not bind."""

    def __init__(self, role: str, why: str) -> None:
        self.role = role
        self.why = why
        super().__init__(
            f"the database role '{role}' {why}, so row-level security would not keep tenants "
            "apart. Give DATABASE_URL a role of its own (see docs/how-to/database-roles.md)."
        )


class UnsupportedDatabaseError(DatabaseError):
    """A database of a kind the platform does not run on."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(
            f"'{kind}' is not a database the platform runs on. "
            "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."
        )
