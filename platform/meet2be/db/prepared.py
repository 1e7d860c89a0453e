"""Core statements that are compiled once and then run straight on the driver.

SQLAlchemy spends several times on an execution what the database needs to change one row found by
its key: for each row of a list too, whose values it turns one by one. Cancelling a conference does
little else than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any, cast

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from meet2be.errors import Meet2BeError

_NOTHING = object()


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
    """One parameter: its name, how its value is turned for the driver, and what it is if fixed."""

    name: str
    turn: Callable[[Any], Any] | None
    is_fixed: bool
    value: Any

    def of_all(self, rows: Sequence[Mapping[str, Any]]) -> Iterable[Any]:
        """Return what the driver gets row by row; raises ``KeyError`` for one that lacks it."""
        if self.is_fixed:
            return repeat(self.value, len(rows))
        name, turn = self.name, self.turn
        values = [row[name] for row in rows]
        return values if turn is None else _turned(values, turn)


def _turned(values: Sequence[Any], turn: Callable[[Any], Any]) -> Iterator[Any]:
    """Turn each value; the one object that many rows hold in a row, such as the time, once."""
    before: Any = _NOTHING
    turned: Any = None
    for value in values:
        if value is not before:
            before, turned = value, turn(value)
        yield turned


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The statement in the words of one kind of database."""

    text: str
    parameters: tuple[_Parameter, ...]
    is_positional: bool

    def values(self, given: Mapping[str, Any]) -> Any:
        """Return one row's values; written out, as it runs thrice for each mail."""
        values = [
            each.value
            if each.is_fixed
            else given[each.name]
            if each.turn is None
            else each.turn(given[each.name])
            for each in self.parameters
        ]
        return values if self.is_positional else self._named(values)

    def values_of_all(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return all rows' values, turned column by column."""
        turned = zip(*(each.of_all(rows) for each in self.parameters), strict=True)
        return list(turned) if self.is_positional else [self._named(row) for row in turned]

    def _named(self, values: Iterable[Any]) -> dict[str, Any]:
        return {each.name: value for each, value in zip(self.parameters, values, strict=True)}


class Prepared:
    """An INSERT, UPDATE or DELETE that returns nothing, for one row or for many."""

    def __init__(self, statement: Insert | Update | Delete) -> None:
        """Take the statement; its column defaults are not computed, so it names every value."""
        # Nobody asks for a new row's key, so it is not fetched.
        self._statement = statement.inline() if isinstance(statement, Insert) else statement
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run it in the connection's transaction and return how many rows it changed.

        Raises what SQLAlchemy would, ``NoTransaction``, and ``NotPreparable`` at the first run.
        """
        compiled = self._for(connection)
        return _execute(connection, compiled.text, compiled.values(values), is_many=False)

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run it for each of ``rows`` and return how many rows they changed together.

        Raises what ``run`` does. Without rows nothing is run.
        """
        compiled = self._for(connection)
        if not rows:
            return 0
        return _execute(connection, compiled.text, compiled.values_of_all(rows), is_many=True)

    def _for(self, connection: Connection) -> _Compiled:
        if not connection.in_transaction():
            raise NoTransaction
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self._statement, dialect)
        return compiled


class PreparedSelect:
    """A SELECT whose rows come as plain tuples, in the order of its columns."""

    def __init__(self, statement: Select[Any]) -> None:
        """Take the statement."""
        self._statement = statement
        self._compiled: dict[
            str, tuple[_Compiled, tuple[tuple[int, Callable[[Any], Any]], ...]]
        ] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run it in the connection's transaction; raises what ``Prepared.run`` does."""
        if not connection.in_transaction():
            raise NoTransaction
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = (
                _compile(self._statement, dialect), _turns(self._statement, dialect),
            )  # fmt: skip
        compiled, turns = self._compiled[dialect.name]
        with closing(connection.connection.cursor()) as cursor:
            parameters = compiled.values(values)
            with _translating(dialect, compiled.text, parameters):
                cursor.execute(compiled.text, parameters)
            return [_turned_row(row, turns) for row in cursor.fetchall()]


def _turned_row(
    row: tuple[Any, ...], turns: Iterable[tuple[int, Callable[[Any], Any]]]
) -> tuple[Any, ...]:
    values = list(row)
    for place, turn in turns:
        values[place] = turn(values[place])
    return tuple(values)


def _turns(
    statement: Select[Any], dialect: Dialect
) -> tuple[tuple[int, Callable[[Any], Any]], ...]:
    """Return what the driver's values of some columns are turned by."""
    found = (
        (place, column.type.dialect_impl(dialect).result_processor(dialect, None))
        for place, column in enumerate(statement.selected_columns)
    )
    return tuple((place, turn) for place, turn in found if turn is not None)


@contextmanager
def _translating(dialect: Dialect, text: str, parameters: Any) -> Iterator[None]:
    try:
        yield
    except _errors_of(dialect) as error:
        raise DBAPIError.instance(
            text, parameters, error, _errors_of(dialect), dialect=dialect
        ) from error


def _execute(connection: Connection, text: str, parameters: Any, *, is_many: bool) -> int:
    dialect = connection.dialect
    with closing(connection.connection.cursor()) as cursor:
        with _translating(dialect, text, parameters):
            (cursor.executemany if is_many else cursor.execute)(text, parameters)
        return cursor.rowcount


def _errors_of(dialect: Dialect) -> type[Exception]:
    return cast("type[Exception]", dialect.loaded_dbapi.Error)


def _compile(statement: Insert | Update | Delete | Select[Any], dialect: Dialect) -> _Compiled:
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
    is_fixed, value = not bind.required, bind.effective_value
    return _Parameter(name, turn, is_fixed, turn(value) if is_fixed and turn else value)
