"""Which types the annotations of a job name: only these are ever made from a payload."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from enum import Enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from onqueue.errors import JobDefinitionError
from onqueue.references import reference_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onqueue.job import Job


def vocabulary_of(job_class: type[Job]) -> dict[str, type[Any]]:
    """Return the enums, dataclasses and referenceable types of a job's fields, by name."""
    found: dict[str, type[Any]] = {}
    hints = _hints(job_class, job_class.name)
    for entry in fields(job_class):
        _collect(hints[entry.name], found, job_class.__qualname__)
    return found


def words_of(function: Callable[..., Any], name: str) -> dict[str, type[Any]]:
    """Return the same of a function's parameters; nothing when its annotations cannot be read."""
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        return {}
    hints.pop("return", None)
    found: dict[str, type[Any]] = {}
    for annotation in hints.values():
        _collect(annotation, found, name)
    return found


def hints_of(job_class: type[Job]) -> Mapping[str, Any]:
    """Return the types of a job's fields, evaluated; raises `JobDefinitionError`."""
    return _hints(job_class, job_class.name)


def _collect(annotation: Any, found: dict[str, type[Any]], job: str) -> None:
    if isinstance(annotation, type) and _is_word(annotation):
        known = found.setdefault(annotation.__name__, annotation)
        if known is not annotation:
            msg = (
                f"The fields of job {job!r} name two types {annotation.__name__!r} "
                f"({known.__module__} and {annotation.__module__}): rename one of them"
            )
            raise JobDefinitionError(msg)
        if is_dataclass(annotation) and reference_of(annotation) is None:
            _collect_fields(annotation, found, job)
    for argument in get_args(annotation):
        _collect(argument, found, job)


def _collect_fields(type_: type[Any], found: dict[str, type[Any]], job: str) -> None:
    hints = _hints(type_, job)
    for entry in fields(type_):
        hint = hints[entry.name]
        is_new = not (isinstance(hint, type) and found.get(hint.__name__) is hint)
        if is_new and not _names(hint, type_):
            _collect(hint, found, job)


def _names(annotation: Any, type_: type[Any]) -> bool:
    return annotation is type_ or any(_names(part, type_) for part in get_args(annotation))


def _is_word(type_: type[Any]) -> bool:
    return issubclass(type_, Enum) or is_dataclass(type_) or reference_of(type_) is not None


def _hints(type_: type[Any], job: str) -> Mapping[str, Any]:
    hints: dict[str, Any] = {}
    names = {entry.name for entry in fields(type_)}
    for ancestor in reversed(type_.__mro__):
        own = vars(ancestor).get("__annotations__", {})
        carrier = SimpleNamespace(
            __annotations__={name: own[name] for name in own if name in names}
        )
        module = sys.modules.get(ancestor.__module__)
        try:
            hints |= get_type_hints(carrier, vars(module) if module else {}, dict(vars(ancestor)))
        except NameError as error:
            msg = (
                f"The fields of job {job!r} cannot be understood: {error} "
                "(a type named in a field must be imported when the program runs)"
            )
            raise JobDefinitionError(msg) from error
    return hints
