"""Moments by the quarter of an hour they fall in, so that a database adds up what a day sold.

Every time zone's offset has been whole quarters of an hour since 1986, so each quarter lies in one
day of any zone: IANA time zone database, https://www.iana.org/time-zones.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, SQLColumnExpression
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH: Final = 900
"""Seconds of a quarter of an hour."""
_BEFORE_EPOCH: Final = 69_074_688
"""Quarters from the year 0 on: dividing rounds towards zero, and moments may be before 1970."""


class quarter_of(FunctionElement[int]):  # noqa: N801 -- it is used like a function
    """The number of the quarter of an hour since 1970 that a column's moment falls in, or NULL."""

    inherit_cache = True
    type = BigInteger()

    def __init__(self, moment: SQLColumnExpression[Any]) -> None:
        super().__init__(moment)


@compiles(quarter_of)
def _by_epoch(element: quarter_of, compiler: SQLCompiler, **options: Any) -> str:
    moment = compiler.process(element.clauses, **options)
    return f"CAST(floor(extract(epoch FROM {moment}) / {_LENGTH}) AS BIGINT)"


@compiles(quarter_of, "sqlite")
def _by_text(element: quarter_of, compiler: SQLCompiler, **options: Any) -> str:
    # Without the fraction, which SQLite would round.
    moment = f"substr({compiler.process(element.clauses, **options)}, 1, 19)"
    since = f"CAST(strftime('%s', {moment}) AS INTEGER) + {_BEFORE_EPOCH * _LENGTH}"
    return f"(({since}) / {_LENGTH} - {_BEFORE_EPOCH})"


def moment_of(quarter: int) -> datetime:
    """Return the moment a quarter of an hour begins."""
    return _EPOCH + timedelta(seconds=quarter * _LENGTH)
