"""Core statements that are compiled once and then run straight on the driver.

SQLAlchemy spends several times on an execution what the database needs to change one row found by
its key. That is nothing for a statement that changes many rows, and most of the time for the few
that run for every single mail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Delete, Insert, Update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from meet2be.errors import Meet2BeError


class NotPreparable(Meet2BeError):
    """A statement needs more of SQLAlchemy than its text and its parameters."""

    def __init__(self, what: str) -> None:
        super().__init__(f"a prepared statement cannot have {what}. Execute it with SQLAlchemy.")


class NoTransaction(Meet2BeError):
    """A prepared statement was run where nothing would hold it together with others."""

    def __init__(self) -> None:
        super().__init__(
            "a prepared statement runs inside a transaction. Begin one on the connection first."
        )


@dataclass(frozen=True, slots=True)
class _Parameter:
    """One parameter: its name, how its value is turned for the driver, and its fixed value."""

    name: str
    turn: Callable[[Any], Any] | None
    is_fixed: bool
    value: Any

    def of(self, values: Mapping[str, Any]) -> Any:
        """Return what the driver gets; raises ``KeyError`` for a value that is not given."""
        value = self.value if self.is_fixed else values[self.name]
        return value if self.turn is None else self.turn(value)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The statement in the words of one kind of database."""

    text: str
    parameters: tuple[_Parameter, ...]
    is_positional: bool

    def values(self, given: Mapping[str, Any]) -> Any:
        if self.is_positional:
            return [each.of(given) for each in self.parameters]
        return {each.name: each.of(given) for each in self.parameters}


class Prepared:
    """An INSERT, UPDATE or DELETE that returns nothing, for one row at a time."""

    def __init__(self, statement: Insert | Update | Delete) -> None:
        """Take the statement; its column defaults are not computed, so it names every value."""
        # Nobody asks for a new row's key, so it is not fetched.
        self._statement = statement.inline() if isinstance(statement, Insert) else statement
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run it in the connection's transaction and return how many rows it changed.

        Raises what SQLAlchemy would, ``NoTransaction``, and ``NotPreparable`` at the first run.
        """
        if not connection.in_transaction():
            raise NoTransaction
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self._statement, dialect)
        parameters = compiled.values(values)
        with closing(connection.connection.cursor()) as cursor:
            try:
                cursor.execute(compiled.text, parameters)
            except _errors_of(dialect) as error:
                raise DBAPIError.instance(
                    compiled.text, parameters, error, _errors_of(dialect), dialect=dialect
                ) from error
            return cursor.rowcount


def _errors_of(dialect: Dialect) -> type[Exception]:
    return cast("type[Exception]", dialect.loaded_dbapi.Error)


def _compile(statement: Insert | Update | Delete, dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    if compiled.insert_prefetch or compiled.update_prefetch:
        raise NotPreparable("values that are computed when it runs")
    if compiled.post_compile_params or compiled.literal_execute_params:
        raise NotPreparable("parameters that become a list")
    if compiled.effective_returning:
        raise NotPreparable("RETURNING")
    names = compiled.positiontup if compiled.positional else list(compiled.binds)
    return _Compiled(
        compiled.string,
        tuple(_parameter(compiled, name, dialect) for name in names or ()),
        compiled.positional,
    )


def _parameter(compiled: SQLCompiler, name: str, dialect: Dialect) -> _Parameter:
    bind = compiled.binds[name]
    turn = bind.type.dialect_impl(dialect).bind_processor(dialect)
    return _Parameter(name, turn, not bind.required, bind.effective_value)
