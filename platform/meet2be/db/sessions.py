"""Sessions and connections: each bound to one tenant, or openly to the platform, for life."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, Protocol, cast

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from meet2be.db.base import CLOCK_OPTION, ClocklessEngineError
from meet2be.db.engine import BEGIN_OPTION, make_engine
from meet2be.db.errors import DatabaseError, UnguardedStatementError, UnknownTenantError
from meet2be.db.guard import (
    READ_ONLY,
    SCOPE,
    SystemScope,
    TenantScope,
    scope_of,
    tell_it_only_reads,
    tell_row_security,
    tenant_scope,
)
from onqueue.contracts import Clock

logger: Final = logging.getLogger(__name__)


class NoReasonError(DatabaseError):
    """A system session was asked for without saying why."""

    def __init__(self) -> None:
        super().__init__(
            "a system session sees every tenant and needs a reason. Say why in a few words, "
            "for example system_session('relay: hand over waiting jobs')."
        )


class GuardedSession(Session):
    """A session that knows whom it works for. Made by `Database` only.

    Rows stay readable after commit (they are not expired); ask anew where others may have
    written meanwhile.
    """

    def __init__(self, bind: Engine, scope: TenantScope | SystemScope, *, read_only: bool) -> None:
        super().__init__(
            bind=bind, expire_on_commit=False, info={SCOPE: scope, READ_ONLY: read_only}
        )

    def bulk_save_objects(self, *_arguments: Any, **_options: Any) -> NoReturn:
        """Refused: it writes past the guard."""
        raise UnguardedStatementError("bulk_save_objects")

    def bulk_insert_mappings(self, *_arguments: Any, **_options: Any) -> NoReturn:
        """Refused: it writes past the guard."""
        raise UnguardedStatementError("bulk_insert_mappings")

    def bulk_update_mappings(self, *_arguments: Any, **_options: Any) -> NoReturn:
        """Refused: it writes past the guard."""
        raise UnguardedStatementError("bulk_update_mappings")


class Database:
    """The platform's database: an engine with a clock, and the only maker of sessions for it."""

    def __init__(self, url: str | URL, clock: Clock, **options: Any) -> None:
        self.engine = make_engine(url, clock, **options)
        self._reading = self.engine.execution_options(**{BEGIN_OPTION: "DEFERRED"})
        self.clock = clock

    def tenant_session(self, tenant_id: int, *, read_only: bool = False) -> GuardedSession:
        """Return a session that sees and writes the rows of one tenant.

        `read_only` sessions do not wait for writers on SQLite, nor make writers wait: right for
        pages that only show something.
        """
        return self._session(_scope_of_tenant(tenant_id), read_only=read_only)

    def system_session(self, reason: str, *, read_only: bool = False) -> GuardedSession:
        """Return a session that sees all tenants: for log-in, relays and operators.

        `reason` is logged, told to PostgreSQL, and stands in every audit entry it writes.
        """
        return self._session(_scope_of_system(reason), read_only=read_only)

    def tenant_connection(self, tenant_id: int) -> Connection:
        """Return a connection for statements that name the tenant themselves.

        A session's guard costs more than a statement or two; this is for the few places that run
        thousands of those. PostgreSQL's row security knows the tenant here too.
        """
        return self._connection(_scope_of_tenant(tenant_id))

    def system_connection(self, reason: str, *, read_only: bool = False) -> Connection:
        """Return a connection that sees all tenants; see `system_session`.

        A `read_only` one is for looking; on SQLite it neither waits for writers nor holds them up.
        """
        return self._connection(_scope_of_system(reason), read_only=read_only)

    def forget_connections(self) -> None:
        """Drop the pool without closing it: what a forked child does first of all."""
        self.engine.dispose(close=False)

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.engine.dispose()

    def _session(self, scope: TenantScope | SystemScope, *, read_only: bool) -> GuardedSession:
        bind = self._reading if read_only else self.engine
        return GuardedSession(bind, scope, read_only=read_only)

    def _connection(
        self, scope: TenantScope | SystemScope, *, read_only: bool = False
    ) -> Connection:
        connection = (self._reading if read_only else self.engine).connect()
        if connection.dialect.name == "postgresql":
            if read_only:
                event.listen(connection, "begin", tell_it_only_reads)
            event.listen(connection, "begin", lambda begun: tell_row_security(begun, scope))
        return connection


def _scope_of_tenant(tenant_id: int) -> TenantScope:
    if type(tenant_id) is not int or tenant_id <= 0:
        raise UnknownTenantError(tenant_id)
    return tenant_scope(tenant_id)


def _scope_of_system(reason: str) -> SystemScope:
    if not reason.strip():
        raise NoReasonError
    logger.debug("system session opened", extra={"reason": reason})
    return SystemScope(reason.strip())


class Sessions(Protocol):
    """What makes the sessions of one tenant: a `Database`, or what counts them."""

    def tenant_session(self, tenant_id: int, *, read_only: bool = False) -> GuardedSession:
        """Return a session that sees the rows of one tenant."""


@contextmanager
def snapshot(database: Sessions, tenant_id: int) -> Iterator[GuardedSession]:
    """Yield a session that sees one moment of the database, however long it reads.

    SQLite's readers always do, from their first statement on; PostgreSQL is asked for it.
    """
    with database.tenant_session(tenant_id, read_only=True) as session:
        if session.get_bind().dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session


def clock_of(session: Session) -> Clock:
    """Return the clock of the session's database; services stamp what they write with it."""
    clock = session.get_bind().get_execution_options().get(CLOCK_OPTION)
    if clock is None:
        raise ClocklessEngineError
    return cast("Clock", clock)


def tenant_of(session: Session) -> int | None:
    """Return the number of the tenant the session works for; None for a system session."""
    scope = scope_of(session)
    return scope.tenant_id if isinstance(scope, TenantScope) else None


def reason_of(session: Session) -> str | None:
    """Return why a system session was opened; None for a tenant's session."""
    scope = scope_of(session)
    return scope.reason if isinstance(scope, SystemScope) else None
