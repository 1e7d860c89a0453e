"""Which statements a tenant's session may run: those that its filter surely confines.

Measured with SQLAlchemy 2.1: `with_loader_criteria` reaches every mapped class and attribute in a
SELECT, also in aliases, joins, subqueries, EXISTS and UNION, and the target of UPDATE and DELETE.
It does not reach plain tables and their columns, text, other tables of an UPDATE or DELETE, bulk
UPDATE by primary key, or what an INSERT says. Those are refused here, or looked at row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import (
    Alias,
    Column,
    ColumnClause,
    CompoundSelect,
    Delete,
    FromClause,
    Insert,
    Join,
    Select,
    Table,
    TextClause,
    Update,
)
from sqlalchemy.orm import Mapper, ORMExecuteState
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.selectable import Exists, TextualSelect

from meet2be.db.base import TENANT_MARK, Base
from meet2be.db.errors import ForeignTenantError, UnguardedStatementError

_SAFE_LITERALS: Final = frozenset({"*", "0", "1"})
TENANTS: Final = "tenants"
_COLUMN: Final = "tenant_id"


def is_tenants(table: object) -> bool:
    """Return whether rows of this table belong to tenants (the tenants themselves do too)."""
    # The column alone does not make a table a tenant's: a web session has a tenant, but is
    # looked up before anybody knows which. The mixins of `meet2be.db.base` mark theirs.
    return (
        isinstance(table, Table)
        and table.metadata is Base.metadata
        and (table.name == TENANTS or bool(table.info.get(TENANT_MARK)))
    )


def check_confined(state: ORMExecuteState, tenant: int) -> None:
    """Raise UnguardedStatementError or ForeignTenantError for what the filter cannot confine."""
    statement = state.statement
    match statement:
        case Select() if _loads_by_key(statement):
            return
        case Select() | CompoundSelect() | Exists():
            pass
        case Insert():
            _check_insert(statement, state.parameters, tenant)
        case Update() | Delete():
            _check_change(statement, state)
        case _:
            kind = type(statement).__name__
            raise UnguardedStatementError(f"a statement of the kind '{kind}'")
    for element in visitors.iterate(cast("visitors.ExternallyTraversible", statement)):
        _check_element(element)


def touched(statement: object) -> Iterator[str]:
    """Return the names of tenants' tables that a statement mentions, mapped or not."""
    for element in visitors.iterate(cast("visitors.ExternallyTraversible", statement)):
        for table in (element, getattr(element, "table", None)):
            if is_tenants(table):
                yield cast("Table", table).name


def _loads_by_key(select: Select[Any]) -> bool:
    """Return whether this is SQLAlchemy's own load of one mapped row, as `session.get` does it.

    Its condition names plain columns, but the row it loads is mapped, hence confined.
    """
    mapper = select._propagate_attrs.get("plugin_subject")  # noqa: SLF001
    criteria = select._where_criteria  # noqa: SLF001
    return (
        isinstance(mapper, Mapper)
        and len(criteria) == 1
        and criteria[0] is mapper._get_clause[0]  # noqa: SLF001 -- the very object, nothing like it
        and all(map(_is_mapped, _sources(select)))
    )


def _check_element(element: object) -> None:
    match element:
        case TextClause() | TextualSelect():
            raise UnguardedStatementError("text")
        case Select():
            for source in _sources(element):
                _check_source(source)
        case Column():
            _check_source(element.table, annotated=element)
        case ColumnClause() if element.is_literal and element.name not in _SAFE_LITERALS:
            raise UnguardedStatementError("a literal column")
        case _:
            pass


def _sources(select: Select[Any]) -> Iterator[object]:
    yield from select._raw_columns  # noqa: SLF001 -- there is no public way to tell these apart
    yield from select._from_obj  # noqa: SLF001
    for target, _on, left, _flags in select._setup_joins:  # noqa: SLF001
        yield target
        yield left


def _check_source(source: object, annotated: object = None) -> None:
    """Refuse a tenant's table that was named as a plain table rather than as a mapped class."""
    if _is_mapped(source) or _is_mapped(annotated):
        return
    match source:
        case Join():
            _check_source(source.left)
            _check_source(source.right)
        case Alias():
            _check_source(source.element)
        case Table() if is_tenants(source):
            raise UnguardedStatementError(f"the plain table '{source.name}'")
        case _:
            pass


def _is_mapped(element: object) -> bool:
    return "parententity" in getattr(element, "_annotations", {})


def _check_change(statement: Update | Delete, state: ORMExecuteState) -> None:
    table = cast("Table", statement.table)
    if not is_tenants(table):
        return
    if not _is_mapped(table):
        raise UnguardedStatementError(f"the plain table '{table.name}'")
    if isinstance(state.parameters, Sequence) and state.parameters:
        raise UnguardedStatementError("an UPDATE by primary key from a list")
    if state.execution_options.get("dml_strategy", "auto") not in {"auto", "orm"}:
        raise UnguardedStatementError("an UPDATE past the mapper")
    if _extra_tables(statement):
        raise UnguardedStatementError("a second table in an UPDATE or DELETE")
    if isinstance(statement, Update):
        _refuse_moving(statement, state.parameters)


def _extra_tables(statement: Update | Delete) -> bool:
    """Return whether WHERE draws further tables in (subqueries are no such tables)."""
    main = statement.table
    tables: set[FromClause] = set()
    for clause in statement._where_criteria:  # noqa: SLF001
        tables.update(clause._from_objects)  # noqa: SLF001
    return any(
        is_tenants(table) and cast("Table", table).name != cast("Table", main).name
        for table in tables
    )


def _refuse_moving(statement: Update, parameters: object) -> None:
    named = {_key(column) for column in statement._values or ()}  # noqa: SLF001
    # Filled by Update.ordered_values() instead of _values.
    ordered = {_key(column) for column, _ in getattr(statement, "_ordered_values", None) or ()}
    given = set(parameters) if isinstance(parameters, Mapping) else set()
    if _COLUMN in named | ordered | given:
        raise UnguardedStatementError("an UPDATE that moves rows to another tenant")


def _check_insert(statement: Insert, parameters: Any, tenant: int) -> None:
    table = cast("Table", statement.table)
    if not is_tenants(table):
        return
    if not _is_mapped(table):
        raise UnguardedStatementError(f"the plain table '{table.name}'")
    if table.name == TENANTS:
        raise UnguardedStatementError("an INSERT of a tenant")
    if statement.select is not None:
        raise UnguardedStatementError("INSERT FROM SELECT")
    clause = getattr(statement, "_post_values_clause", None)
    if clause is not None and getattr(clause, "update_values_to_set", None) is not None:
        raise UnguardedStatementError("ON CONFLICT DO UPDATE")
    for row in _inserted_rows(statement, parameters):
        if row.get(_COLUMN) != tenant:
            raise ForeignTenantError(table.name, row_tenant=row.get(_COLUMN), session_tenant=tenant)


def _inserted_rows(statement: Insert, parameters: Any) -> Iterator[Mapping[str, object]]:
    groups = statement._multi_values  # noqa: SLF001 -- VALUES with several rows stand nowhere else
    if groups:
        for group in groups:
            for row in group:
                yield _plain(cast("Mapping[Any, object]", row))
        return
    fixed = _plain(statement._values or {})  # noqa: SLF001
    rows = [parameters] if isinstance(parameters, Mapping) else (parameters or [{}])
    for given in rows:
        yield {**fixed, **given}


def _plain(values: Mapping[Any, object]) -> dict[str, object]:
    return {
        _key(column): value.value if isinstance(value, BindParameter) else value
        for column, value in values.items()
    }


def _key(column: object) -> str:
    return str(getattr(column, "key", column))
