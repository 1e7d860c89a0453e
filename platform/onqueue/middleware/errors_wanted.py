"""Which exceptions a middleware means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from onqueue.errors import LimitDefinitionError

Errors: TypeAlias = type[BaseException] | Sequence[type[BaseException]] | Callable[[Any], object]
"""An exception class, several of them, or a callable that gets the exception."""


def matcher(what: str, wanted: Errors) -> Callable[[BaseException], bool]:
    """Return what tells whether an exception is meant; raises `LimitDefinitionError`."""
    classes = tuple(wanted) if isinstance(wanted, list | tuple) else (wanted,)
    if classes and all(isinstance(one, type) and issubclass(one, BaseException) for one in classes):
        return lambda error: isinstance(error, classes)
    if callable(wanted) and not isinstance(wanted, type):
        return lambda error: bool(wanted(error))
    why = "give an exception class, several in a list, or a callable that gets the exception"
    raise LimitDefinitionError(f"{what} with {wanted!r}", why)
