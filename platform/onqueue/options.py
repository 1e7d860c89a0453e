"""The options a job class may set: their names, which are available, and what they may hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from onqueue.config import QUEUE_NAME, is_queue_name
from onqueue.errors import JobDefinitionError

Seconds = int | float | timedelta
"""A span of time; plain numbers are seconds."""


LONGEST_SPAN = 36_525 * 86_400.0
"""Seconds of a hundred years: what is longer is a mistake, and past what databases can date."""


def checked_seconds(what: str, span: object) -> float:
    """Return a span of time in seconds; raises `JobDefinitionError` with what needs one."""
    if not _is_span(span):
        msg = f"{what} needs {_SPAN}, not {span!r}"
        raise JobDefinitionError(msg)
    return seconds(span)  # type: ignore[arg-type]


def seconds(span: Seconds) -> float:
    """Return a span of time in seconds."""
    return span.total_seconds() if isinstance(span, timedelta) else span


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_positive_count(value: object) -> bool:
    return _is_count(value) and value != 0


def _is_span(value: object) -> bool:
    if isinstance(value, timedelta):
        return timedelta(0) <= value <= timedelta(seconds=LONGEST_SPAN)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= LONGEST_SPAN  # type: ignore[operator]


def _is_spans(value: object) -> bool:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return len(value) > 0 and all(map(_is_span, value))
    return _is_span(value)


def _is_fraction(value: object) -> bool:
    return _is_span(value) and not isinstance(value, timedelta) and value <= 1  # type: ignore[operator]


def _is_deadline(value: object) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return _is_span(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return _is_span(value) and not isinstance(value, timedelta) and value > 0  # type: ignore[operator]


def _is_flag_or_span(value: object) -> bool:
    return _is_flag(value) or _is_span(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_key(value: object) -> bool:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number or (isinstance(value, str | UUID) and str(value) != "")


def _is_positive_span(value: object) -> bool:
    return _is_span(value) and seconds(value) > 0  # type: ignore[arg-type]


def _is_conflict(value: object) -> bool:
    return isinstance(value, str) and value in ON_CONFLICT


def _is_fair_key(value: object) -> bool:
    if isinstance(value, tuple):
        return len(value) == PAIR and _is_key(value[0]) and _is_positive_count(value[1])
    return _is_key(value)


def _is_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


@dataclass(frozen=True, slots=True)
class Option:
    """One option: what it must be, in words and as a test, and whether it travels."""

    words: str
    accepts: Callable[[object], bool]
    travels: bool = True


PAIR = 2

ON_CONFLICT = ("drop", "raise", "replace", "keep_last")
"""What may become of a unique job whose lock another one has."""

UNIQUE_SETTINGS = ("unique_id", "unique_for", "unique_until_processing", "unique_on_conflict")
"""What only has a meaning beside `unique`."""

_SPAN = "a span of time from 0 to 100 years (seconds or a timedelta)"
_FLAG = "true or false"
_COUNT = "a whole number from 0 on"

OPTIONS: dict[str, Option] = {
    "name": Option("text", _is_text, travels=False),
    "connection": Option("the name of a connection", _is_text, travels=False),
    "queue": Option(f"the name of a queue, {QUEUE_NAME}", is_queue_name, travels=False),
    "default_delay": Option(_SPAN, _is_span, travels=False),
    "wait_for_commit": Option(_FLAG, _is_flag, travels=False),
    "encrypted": Option(_FLAG, _is_flag, travels=False),
    "tries": Option(f"{_COUNT} (0: without limit)", _is_count),
    "timeout": Option(f"{_SPAN} (0: none)", _is_span),
    "fail_on_timeout": Option(_FLAG, _is_flag),
    "max_exceptions": Option("a whole number from 1 on", _is_positive_count),
    "backoff": Option(f"{_SPAN}, or a sequence of such", _is_spans),
    "retry_until": Option(
        "an aware datetime, or a span of time from the dispatch, up to 100 years", _is_deadline
    ),
    "jitter": Option("a fraction of the backoff from 0 to 1", _is_fraction),
    "delete_when_missing_models": Option(_FLAG, _is_flag),
    "unique": Option(_FLAG, _is_flag, travels=False),
    "unique_id": Option("text, a whole number or a UUID", _is_key, travels=False),
    "unique_for": Option(
        "a span of time above 0, up to 100 years", _is_positive_span, travels=False
    ),
    "unique_until_processing": Option(_FLAG, _is_flag, travels=False),
    "unique_on_conflict": Option(f"one of {', '.join(ON_CONFLICT)}", _is_conflict, travels=False),
    "fair_key": Option(
        "text, a whole number or a UUID, alone or in a pair with its weight from 1 on",
        _is_fair_key,
        travels=False,
    ),
    "tags": Option("a list of texts", _is_texts),
    "display_name": Option("text", _is_text),
    "version": Option("a whole number from 1 on", _is_positive_count),
    "expires_in": Option(_SPAN, _is_span),
    "memory_limit": Option("a number of MiB above 0", _is_positive),
    "interruptible": Option(f"true, false, or {_SPAN}", _is_flag_or_span),
    "durable": Option(_FLAG, _is_flag),
}
"""In the order in which they are written into a payload."""

OPTION_NAMES = frozenset(OPTIONS)


def check_option(job: str, name: str, value: object) -> None:
    """Raise `JobDefinitionError` when an option holds what it cannot hold."""
    option = OPTIONS[name]
    if not option.accepts(value):
        msg = f"Option {name!r} of job {job!r} must be {option.words}, not {value!r}"
        raise JobDefinitionError(msg)


def travels_well(name: str, value: object) -> bool:
    """Tell whether an option has a form in which `frozen_option` may have sent it."""
    return _is_count(value) if name == "retry_until" else OPTIONS[name].accepts(value)


def frozen_option(name: str, value: Any, at: float) -> Any:
    """Return the JSON form in which an option travels; `at` is the dispatch in epoch seconds.

    `retry_until` becomes epoch milliseconds, `backoff` a list of seconds, a span seconds.
    """
    if name == "retry_until":
        until = value.timestamp() if isinstance(value, datetime) else at + seconds(value)
        return int(until * 1000)
    if name == "backoff":
        spans = value if isinstance(value, Sequence) else (value,)
        return [seconds(span) for span in spans]
    if isinstance(value, timedelta):
        return seconds(value)
    return list(value) if name == "tags" else value
