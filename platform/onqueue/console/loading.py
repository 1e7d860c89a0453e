"""Finds the QueueManager that a command line names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from onqueue.connections import QueueManager, use
from onqueue.errors import ConfigurationError, nearest


def load_manager(place: str) -> QueueManager:
    """Return the manager at 'module:attribute' and use it in this process.

    Modules of the working directory are found. Raises `ConfigurationError` saying which part of
    the place is wrong.
    """
    module_name, colon, attribute = place.partition(":")
    if not (colon and module_name and attribute):
        raise _error(place, "it must read 'module:attribute', like 'shop:queues'")
    module = _import(place, module_name)
    try:
        found: object = getattr(module, attribute)
    except AttributeError as error:
        near = nearest(attribute, vars(module))
        raise _error(place, f"module {module_name!r} has no {attribute!r}{near}") from error
    if not isinstance(found, QueueManager):
        kind = type(found).__name__
        raise _error(place, f"{attribute!r} is no QueueManager but of type {kind!r}")
    use(found)
    return found


def _import(place: str, name: str) -> object:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            why = f"there is no module {missing!r} in {here} or among the installed packages"
        else:
            why = f"module {name!r} imports {missing!r}, which is not installed"
        raise _error(place, why) from error


def _error(place: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"--app {place!r}", [problem])
