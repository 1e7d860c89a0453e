"""The guard on every session: no statement and no row crosses the border between tenants.

It listens on SQLAlchemy's own Session class, so that a session made past `meet2be.db` is guarded
too: it may not touch tenants' tables at all. What it cannot see is a bare Connection
(`session.connection()`, `Database.tenant_connection`); there the statements name the tenant, and
the composite foreign keys and PostgreSQL's row-level security stand behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Table, event, inspect, or_
from sqlalchemy.orm import (
    ORMExecuteState,
    Session,
    SessionTransaction,
    UOWTransaction,
    with_loader_criteria,
)
from sqlalchemy.sql.base import ExecutableOption

from meet2be.db.base import (
    TENANT_MIXINS,
    Base,
    MaybeTenantOwned,
    TenantOwned,
    TenantOwnedOrShared,
)
from meet2be.db.confinement import TENANTS, check_confined, is_tenants, touched
from meet2be.db.errors import (
    ForeignTenantError,
    ReadOnlySessionError,
    UnguardedStatementError,
    UnscopedSessionError,
)
from meet2be.db.tables import load_models

SCOPE: Final = "meet2be_scope"
READ_ONLY: Final = "meet2be_read_only"
_COLUMN: Final = "tenant_id"


@dataclass(frozen=True, slots=True)
class TenantScope:
    """The session works for one tenant; its filters confine what it reads and what it changes."""

    tenant_id: int
    reading: tuple[ExecutableOption, ...]
    changing: tuple[ExecutableOption, ...]


@dataclass(frozen=True, slots=True)
class SystemScope:
    """The session works for the platform, on all tenants; `reason` says why."""

    reason: str


Scope = TenantScope | SystemScope | None


@lru_cache(maxsize=512)
def tenant_scope(tenant_id: int) -> TenantScope:
    """Return the scope of one tenant."""
    own = tuple(
        with_loader_criteria(mixin, lambda cls: cls.tenant_id == tenant_id, include_aliases=True)
        for mixin in (TenantOwned, MaybeTenantOwned)
    )
    shared = with_loader_criteria(
        TenantOwnedOrShared,
        lambda cls: or_(cls.tenant_id == tenant_id, cls.tenant_id.is_(None)),
        include_aliases=True,
    )
    unshared = with_loader_criteria(
        TenantOwnedOrShared, lambda cls: cls.tenant_id == tenant_id, include_aliases=True
    )
    itself = with_loader_criteria(_tenants(), lambda cls: cls.id == tenant_id, include_aliases=True)
    return TenantScope(tenant_id, (*own, shared, itself), (*own, unshared, itself))


@cache
def _tenants() -> type[Any]:
    """Return the mapped class of the tenants, which lies above this module."""
    load_models()
    tables = load_models().tables
    return next(
        mapper.class_ for mapper in Base.registry.mappers if mapper.local_table is tables[TENANTS]
    )


def scope_of(session: Session) -> Scope:
    """Return what the session is bound to, None for a session made past `meet2be.db`."""
    scope: Scope = session.info.get(SCOPE)
    return scope


@event.listens_for(Session, "do_orm_execute")
def _confine(state: ORMExecuteState) -> None:
    scope = scope_of(state.session)
    if scope is None:
        for table in touched(state.statement):
            raise UnscopedSessionError(table)
        return
    if state.session.info.get(READ_ONLY) and not state.is_select:
        raise ReadOnlySessionError
    if isinstance(scope, TenantScope):
        check_confined(state, scope.tenant_id)
        if not state.is_insert:
            filters = scope.reading if state.is_select else scope.changing
            state.statement = state.statement.options(*filters)


@event.listens_for(Session, "after_begin")
def _name_tenant(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    scope = scope_of(session)
    if connection.dialect.name != "postgresql" or scope is None:
        return
    if session.info.get(READ_ONLY) and not transaction.nested:
        tell_it_only_reads(connection)
    tell_row_security(connection, scope)


def tell_it_only_reads(connection: Connection) -> None:
    """Have PostgreSQL refuse every write of this transaction."""
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def tell_row_security(connection: Connection, scope: TenantScope | SystemScope) -> None:
    """Tell PostgreSQL's row security, for this transaction only, whom it works for."""
    name, value = (
        ("app.tenant", str(scope.tenant_id))
        if isinstance(scope, TenantScope)
        else ("app.system", scope.reason)
    )
    connection.exec_driver_sql("SELECT set_config(%s, %s, true)", (name, value))


@event.listens_for(Session, "before_attach")
def _look_at_attached(session: Session, instance: object) -> None:
    """Refuse another tenant's row at the door: `session.get` would hand it out unasked."""
    if isinstance(instance, TENANT_MIXINS):
        _check_row(session, instance, new=instance.__dict__.get(_COLUMN) is None)


@event.listens_for(Session, "before_flush")
def _look_at_flushed(session: Session, _context: UOWTransaction, _instances: object) -> None:
    scope = scope_of(session)
    if session.info.get(READ_ONLY):
        raise ReadOnlySessionError
    for instance in session.new:
        if isinstance(scope, TenantScope) and isinstance(instance, TENANT_MIXINS):
            _stamp(instance, scope.tenant_id)
        _check_row(session, instance, new=True)
    for instance in (*session.dirty, *session.deleted):
        _check_row(session, instance, new=False)


def _stamp(instance: TenantOwned | MaybeTenantOwned | TenantOwnedOrShared, tenant: int) -> None:
    if instance.__dict__.get(_COLUMN) is None:
        instance.tenant_id = tenant


def _check_row(session: Session, instance: object, *, new: bool) -> None:
    """Raise for a row that is not of the session's tenant, or was, or shall not be."""
    table = getattr(type(instance), "__table__", None)
    scope = scope_of(session)
    if not isinstance(table, Table) or not is_tenants(table) or isinstance(scope, SystemScope):
        return
    name = table.name
    if scope is None:
        raise UnscopedSessionError(name)
    column = "id" if name == TENANTS else _COLUMN
    if new and column == "id":
        raise UnguardedStatementError("an INSERT of a tenant")
    for value in _values_of(instance, column):
        if value != scope.tenant_id and not (new and value is None):
            raise ForeignTenantError(name, row_tenant=value, session_tenant=scope.tenant_id)


def _values_of(instance: object, column: str) -> list[object]:
    """Return every value a column has had since it was loaded, without loading anything."""
    if column not in instance.__dict__:
        return []
    history = inspect(instance).attrs[column].history
    return [*(history.unchanged or ()), *(history.added or ()), *(history.deleted or ())]
