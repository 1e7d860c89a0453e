"""What is checked and made when a job class is written down."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from onqueue.errors import JobDefinitionError, nearest
from onqueue.options import (
    OPTION_NAMES,
    UNIQUE_SETTINGS,
    check_option,
)

if TYPE_CHECKING:
    from onqueue.job import Job

PLAN = "_dispatch_plan"
DEPENDENCIES = "_dependencies"
"""The attributes under which what was computed for a class is kept."""

_LATER_NAMES = frozenset({"batch", "checkpoint", "prepend_to_chain", "append_to_chain"})
"""Names that the contract gives to jobs of later versions: a field must not take them."""


def check_class(cls: type[Job], root: type[Job], *, abstract: bool) -> bool:
    """Turn the class into a dataclass; raise `JobDefinitionError` for what cannot be right.

    Returns whether the class is abstract, so that nobody will make an instance of it.
    """
    _check_fields(cls, root)
    for name, value in list(vars(cls).items()):
        _check_attribute(cls, name, value)
    try:
        dataclass(cls)
    except (TypeError, ValueError) as error:
        msg = f"The fields of job {cls.__qualname__!r} cannot be: {error}"
        raise JobDefinitionError(msg) from error
    is_abstract = abstract or any(
        getattr(getattr(cls, name, None), "__isabstractmethod__", False) for name in dir(cls)
    )
    if not is_abstract:
        _check_handle(cls)
        _check_unique(cls)
    return is_abstract


def wire_name(cls: type[Job]) -> str:
    """Return the name on the wire: the class's own unless its body gives one."""
    given = vars(cls).get("name")
    return given if isinstance(given, str) else cls.__name__


def forget_plans(cls: type[Any]) -> None:
    """Drop what was computed from a class and from its subclasses."""
    for name in (PLAN, DEPENDENCIES):
        if name in vars(cls):
            delattr(cls, name)
    for subclass in cls.__subclasses__():
        forget_plans(subclass)


def field_names(cls: type[Job]) -> tuple[str, ...]:
    """Return the names of the constructor's fields, in order."""
    return tuple(entry.name for entry in fields(cls) if entry.init)


def _check_fields(cls: type[Job], root: type[Job]) -> None:
    job = cls.__qualname__
    taken = {name for name in dir(root) if not name.startswith("_")} | _LATER_NAMES | {"handle"}
    for name, annotation in inspect.get_annotations(cls).items():
        if "ClassVar" in str(annotation):
            continue
        if name.startswith("_"):
            msg = f"Field {name!r} of job {job!r} must not begin with an underscore"
            raise JobDefinitionError(msg)
        if name in OPTION_NAMES:
            msg = (
                f"Field {name!r} of job {job!r} bears the name of an option: rename the field, "
                f"or write `{name} = …` without annotation to set the option"
            )
            raise JobDefinitionError(msg)
        if name in taken:
            msg = f"Field {name!r} of job {job!r} bears the name of a method of Job: rename it"
            raise JobDefinitionError(msg)


def _check_attribute(cls: type[Job], name: str, value: object) -> None:
    if name.startswith("_"):
        return
    job = cls.__qualname__
    annotation = inspect.get_annotations(cls).get(name)
    if name in OPTION_NAMES:
        _check_option_of(job, name, value)
    elif annotation is None and not _is_behaviour(value):
        near = nearest(name, OPTION_NAMES)
        msg = (
            f"{name!r} of job {job!r} is neither an option nor a field{near} "
            "(annotate it to make it a field, or a ClassVar to make it a constant)"
        )
        raise JobDefinitionError(msg)


def _check_option_of(job: str, name: str, value: object) -> None:
    if not _is_behaviour(value):
        check_option(job, name, value)
    elif name in {"name", "version"}:
        msg = f"Option {name!r} of job {job!r} belongs to the class and cannot be a method"
        raise JobDefinitionError(msg)


def _is_behaviour(value: object) -> bool:
    return hasattr(type(value), "__get__") or inspect.isclass(value)


def _check_unique(cls: type[Job]) -> None:
    """Refuse what would have no effect: settings of a lock that no dispatch takes."""
    settings = [name for name in UNIQUE_SETTINGS if getattr(cls, name, None) is not None]
    if settings and getattr(cls, "unique", None) is None:
        msg = f"Option {settings[0]!r} of job {cls.__qualname__!r} needs `unique = True` beside it"
        raise JobDefinitionError(msg)


def _check_handle(cls: type[Job]) -> None:
    handle = getattr(cls, "handle", None)
    if not callable(handle):
        msg = (
            f"Job {cls.__qualname__!r} has no `handle`: write it, or make the class abstract "
            f"(`class {cls.__name__}(Job, abstract=True)`)"
        )
        raise JobDefinitionError(msg)
    if inspect.isgeneratorfunction(handle) or inspect.isasyncgenfunction(handle):
        msg = f"Job {cls.__qualname__!r} has a `yield` in `handle`, so nothing in it would run"
        raise JobDefinitionError(msg)
