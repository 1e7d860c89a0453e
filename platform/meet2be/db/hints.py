"""Hints to SQLite's planner, which has no statistics and so does not know how many rows there are.

It takes any condition on an indexed column for one that leaves ten rows. Beside a list of more than
ten ids it then goes through all rows of the tenant to find them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class unindexed(FunctionElement[Any]):  # noqa: N801 -- it is used like a function
    """A column that is compared without an index: rows are found by another condition.

    https://www.sqlite.org/optoverview.html: a unary plus disqualifies a term. Elsewhere it is the
    column itself.
    """

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(unindexed)
def _as_it_is(element: unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(unindexed, "sqlite")
def _with_a_plus(element: unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"
