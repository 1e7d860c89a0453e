"""Values as JSON and back: what is no JSON travels under a tag that no user's dict can bear.

A tagged value is an object with one key that begins with "$". A user's dict with such a key is
itself wrapped as {"$dict": …}, so the two cannot be confused.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from onqueue.errors import UnreadablePayload, UnserializableArgument
from onqueue.references import fetch, reference_of

MAX_DEPTH = 32

Vocabulary = Mapping[str, type[Any]]
"""The enums, dataclasses and referenceable types that a job's annotations name, by name."""

_ADVICE = (
    "only str, int, float, bool, None, list, tuple, dict, bytes, dates and times, timedelta, "
    "Decimal, UUID, Enum, dataclasses and referenceable records travel; pass a key instead"
)

_SCALARS: dict[type[Any], tuple[str, Callable[[Any], Any]]] = {
    bytes: ("$bytes", lambda value: base64.b64encode(value).decode("ascii")),
    datetime: ("$datetime", datetime.isoformat),
    date: ("$date", date.isoformat),
    time: ("$time", time.isoformat),
    timedelta: ("$timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    Decimal: ("$decimal", str),
    UUID: ("$uuid", str),
}

SCALAR_TAGS = {kind: tag for kind, (tag, _) in _SCALARS.items()}
"""Under which tag the values of a type travel."""


class Writer:
    """Turns the values of one field into JSON values; raises `UnserializableArgument`."""

    __slots__ = ("_field", "_job", "_vocabulary")

    def __init__(self, job: str, field: str, vocabulary: Vocabulary) -> None:
        """Keep what an error message must name."""
        self._job = job
        self._field = field
        self._vocabulary = vocabulary

    def write(self, value: Any, path: str, depth: int = 0) -> Any:
        """Return the JSON form of a value; `path` tells where it sits."""
        kind = type(value)
        if value is None or kind in (str, bool, int):
            return value
        if kind is float:
            if math.isfinite(value):
                return value
            raise self._refusal(path, kind, f"{value} is no JSON number")
        if kind in _SCALARS:
            tag, convert = _SCALARS[kind]
            return {tag: convert(value)}
        if depth >= MAX_DEPTH:
            raise self._refusal(path, kind, f"it is nested more than {MAX_DEPTH} levels deep")
        return self._write_nested(value, path, depth)

    def _write_nested(self, value: Any, path: str, depth: int) -> Any:
        kind = type(value)
        if kind is list:
            return [self.write(item, f"{path}[{n}]", depth + 1) for n, item in enumerate(value)]
        if kind is dict:
            return self._write_dict(value, path, depth)
        if kind is tuple:
            items = [self.write(item, f"{path}[{n}]", depth + 1) for n, item in enumerate(value)]
            return {"$tuple": items}
        return self._write_object(value, path, depth)

    def _write_dict(self, value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
        written: dict[str, Any] = {}
        has_tag = False
        for key, item in value.items():
            if type(key) is not str:
                raise self._refusal(path, type(key), f"key {key!r} of a dict must be a str")
            has_tag = has_tag or key.startswith("$")
            written[key] = self.write(item, f"{path}[{key!r}]", depth + 1)
        return {"$dict": written} if has_tag else written

    def _write_object(self, value: Any, path: str, depth: int) -> dict[str, Any]:
        kind = type(value)
        reference = reference_of(kind)
        if reference is not None:
            try:
                key = reference.to_ref(value)
            except ValueError as error:
                raise self._refusal(path, kind, str(error)) from error
            return {"$ref": [kind.__name__, self.write(key, f"{path}.key", depth + 1)]}
        if isinstance(value, Enum):
            self._ensure_known(kind, path)
            return {"$enum": [kind.__name__, self.write(value.value, path, depth + 1)]}
        if is_dataclass(value):
            self._ensure_known(kind, path)
            content = {
                entry.name: self.write(
                    getattr(value, entry.name), f"{path}.{entry.name}", depth + 1
                )
                for entry in fields(value)
                if entry.init
            }
            return {"$data": [kind.__name__, content]}
        raise self._refusal(path, kind, _ADVICE)

    def _ensure_known(self, kind: type[Any], path: str) -> None:
        if self._vocabulary.get(kind.__name__) is not kind:
            why = f"no annotation of the job names {kind.__name__}, so it could not be read back"
            raise self._refusal(path, kind, why)

    def _refusal(self, path: str, kind: type[Any], why: str) -> UnserializableArgument:
        return UnserializableArgument(self._job, self._field, path, kind.__qualname__, why)


def read_value(value: Any, vocabulary: Vocabulary) -> Any:
    """Return what a JSON value stands for; raises `UnreadablePayload` or `MissingModel`."""
    kind = type(value)
    if kind is list:
        return [read_value(item, vocabulary) for item in value]
    if kind is not dict:
        return value
    if len(value) == 1:
        ((tag, content),) = value.items()
        if tag.startswith("$"):
            return _read_tagged(tag, content, vocabulary)
    return {key: read_value(item, vocabulary) for key, item in value.items()}


def _read_tagged(tag: str, content: Any, vocabulary: Vocabulary) -> Any:
    reader = _READERS.get(tag)
    if reader is None:
        msg = f"The payload holds a value tagged {tag!r}, which this version cannot read"
        raise UnreadablePayload(msg)
    try:
        return reader(content, vocabulary)
    except (ValueError, TypeError, ArithmeticError, KeyError) as error:
        msg = f"The payload holds {content!r} as {tag!r}, which cannot be read: {error}"
        raise UnreadablePayload(msg) from error


def _named(name: str, vocabulary: Vocabulary) -> type[Any]:
    try:
        return vocabulary[name]
    except KeyError:
        msg = f"no annotation of the job names {name!r}"
        raise ValueError(msg) from None


def _read_dict(content: Any, vocabulary: Vocabulary) -> dict[str, Any]:
    return {key: read_value(item, vocabulary) for key, item in content.items()}


def _read_enum(content: Any, vocabulary: Vocabulary) -> Any:
    name, value = content
    return _named(name, vocabulary)(read_value(value, vocabulary))


def _read_data(content: Any, vocabulary: Vocabulary) -> Any:
    name, values = content
    return _named(name, vocabulary)(**_read_dict(values, vocabulary))


def _read_reference(content: Any, vocabulary: Vocabulary) -> Any:
    name, key = content
    return fetch(name, read_value(key, vocabulary), vocabulary)


_READERS: dict[str, Callable[[Any, Vocabulary], Any]] = {
    "$dict": _read_dict,
    "$tuple": lambda content, words: tuple(read_value(item, words) for item in content),
    "$bytes": lambda content, _: base64.b64decode(content, validate=True),
    "$datetime": lambda content, _: datetime.fromisoformat(content),
    "$date": lambda content, _: date.fromisoformat(content),
    "$time": lambda content, _: time.fromisoformat(content),
    "$timedelta": lambda content, _: timedelta(*content),
    "$decimal": lambda content, _: Decimal(content),
    "$uuid": lambda content, _: UUID(content),
    "$enum": _read_enum,
    "$data": _read_data,
    "$ref": _read_reference,
}
