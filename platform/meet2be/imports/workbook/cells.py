"""Cells of a workbook as text: what a person sees there, without Excel's ways of storing it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

EXACT: Final = 1e15
"""Beyond this Excel itself keeps no more figures of a number."""


def text_of(value: object) -> str:
    """Return a cell's text: days in ISO 8601, whole numbers without a point or an exponent."""
    if isinstance(value, str):
        return value
    words = _WORDS.get(type(value))
    return words(value) if words is not None else ""


def _moment(value: datetime) -> str:
    if value.time() == time(0):
        return value.date().isoformat()
    return value.replace(microsecond=0).isoformat()


def _number(value: float) -> str:
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 -- NaN alone
        return ""
    if value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    shown = f"{value:.15g}"
    return shown if "e" not in shown else format(Decimal(shown), "f")


_WORDS: Final[dict[type, Callable[[Any], str]]] = {
    bool: lambda value: "yes" if value else "no",
    int: str,
    float: _number,
    datetime: _moment,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: str,
    Decimal: str,
}
