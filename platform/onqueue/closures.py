"""Functions as text and back: by the path they are imported from, or, without one, by their code.

A function with a path of its own is never pickled. Any other one (a lambda, a function made inside
another) is turned into bytes by cloudpickle, an extra; whoever reads them must have verified them.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeGuard

from onqueue.errors import (
    ConfigurationError,
    NoSuchFunction,
    NotCallableByPath,
    UnserializableArgument,
)

if TYPE_CHECKING:
    from types import ModuleType

Function = Callable[..., Any]

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
"""Compiled code is only good for the version that compiled it."""

_LOCALS = "<locals>"
_LAMBDA = "<lambda>"
_INSTALLED = {"site-packages", "dist-packages"}


def title_of(function: Function) -> str:
    """Return what to call a function where people read it: `module.name`, with a lambda's line."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    line = f":{function.__code__.co_firstlineno}" if is_plain(function) and _LAMBDA in name else ""
    return f"{getattr(function, '__module__', None) or '?'}.{name}{line}"


def is_plain(function: object) -> TypeGuard[FunctionType]:
    """Tell whether this is a function written in Python, and not a method or another callable."""
    return isinstance(function, FunctionType)


def has_path(function: Function) -> bool:
    """Tell whether a function is one of a module's, not a lambda and not made inside another."""
    name = getattr(function, "__qualname__", "")
    return is_plain(function) and _LOCALS not in name and _LAMBDA not in name


def path_of(function: Function) -> str:
    """Return the path `module:name` from which a worker imports the function.

    Raises `NotCallableByPath` where that would not lead to this very function.
    """
    if not is_plain(function):
        kind = type(function).__name__
        why = f"it is a {kind}: pass a plain function, and what it is called with as arguments"
        raise NotCallableByPath(title_of(function), why)
    module, name = function.__module__, function.__qualname__
    if module == "__main__":
        why = "it lives in the program that was started, which a worker does not import"
        raise NotCallableByPath(title_of(function), f"{why}: move it to a module")
    path = f"{module}:{name}"
    if _find(path) is not function:
        why = f"under {path!r} there is something else, perhaps because a decorator replaced it"
        raise NotCallableByPath(title_of(function), why)
    return path


def function_at(path: str) -> Function:
    """Return the function of a path; raises `NoSuchFunction` when there is none (any more)."""
    found = _find(path)
    if not is_plain(found):
        raise NoSuchFunction(path)
    return found


def is_own(path: str) -> bool:
    """Tell whether a path leads into the application's own code, or ours.

    Not into Python's library or an installed package: among their functions are those that run
    whatever they are given, and a payload without a signature could name one of them.
    """
    return _is_own_module(path.partition(":")[0])


@cache
def _is_own_module(name: str) -> bool:
    top = name.partition(".")[0]
    if top == "onqueue":
        return True
    if not top or top in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    places = spec.submodule_search_locations or [spec.origin or ""]
    return not any(_INSTALLED & set(Path(place).parts) for place in places)


def pack(function: Function) -> str:
    """Return a function's code and what it holds, as text; raises `UnserializableArgument`."""
    title = title_of(function)
    try:
        import cloudpickle
    except ImportError as error:
        problem = "it has no path to import it from, and cloudpickle is not here: install the extra"
        raise ConfigurationError(f"Function {title!r}", [f"{problem} 'closures'"]) from error
    try:
        code: bytes = cloudpickle.dumps(function)
    except Exception as error:
        why = (
            f"what it holds cannot be pickled ({error}): pass such things as arguments or services"
        )
        raise UnserializableArgument(title, "closure", "closure", "function", why) from error
    return base64.b64encode(code).decode("ascii")


def unpack(code: str) -> Function:
    """Return the function that `pack` was given. Runs whatever the text says: verify it before."""
    import pickle

    function: Function = pickle.loads(base64.b64decode(code, validate=True))  # noqa: S301
    return function


def _find(path: str) -> object:
    module_name, _, name = path.partition(":")
    found: object = _import(module_name)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except (ImportError, ValueError, TypeError):
        return None
