"""Settings of connections as frozen values; everything wrong with them is said at once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from onqueue.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_RETRY_AFTER = 90.0
LONGEST_DEFAULT_LEASE = 30.0


LONGEST_NAME = 200
QUEUE_NAME = f"1 to {LONGEST_NAME} visible characters without blanks and commas"
"""What a queue's name must be, in words."""


def is_queue_name(value: object) -> bool:
    """Tell whether a queue may bear this name: one that no key, log or command line breaks."""
    return isinstance(value, str) and "," not in value and fits_key(value)


def fits_key(name: str) -> bool:
    """Tell whether a broker's key may hold this name of a queue."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and " " not in name


@dataclass(slots=True, frozen=True)
class ConnectionConfig:
    """One configured backend. Times are seconds, sizes bytes.

    `retry_after` bounds how long a dead host goes unnoticed, `lease` how long a dead process
    does, `deadline` how long a caller waits for the broker. `options` are the driver's own.
    """

    name: str
    driver: str
    queue: str = "default"
    retry_after: float = DEFAULT_RETRY_AFTER
    lease: float = LONGEST_DEFAULT_LEASE
    block_for: float = 5.0
    after_commit: bool = False
    prefix: str = ""
    url: str = ""
    max_prefetch: int = 128
    max_payload: int = 64 * 1024
    deadline: float = 5.0
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


_KEYS = frozenset(entry.name for entry in fields(ConnectionConfig)) - {"name"}
_POSITIVE = ("retry_after", "lease", "block_for", "deadline")
_COUNTS = ("max_prefetch", "max_payload")


def connection_config(name: str, given: Mapping[str, Any]) -> ConnectionConfig:
    """Return the settings of one connection, or raise `ConfigurationError` with all problems."""
    if not hasattr(given, "items"):
        raise ConfigurationError(f"Connection {name!r}", [f"it must be a mapping, not {given!r}"])
    problems = _problems(given)
    if problems:
        raise ConfigurationError(f"Connection {name!r}", problems)
    values = dict(given)
    values.setdefault("prefix", f"{{onqueue:{name}}}")
    retry_after = float(values.setdefault("retry_after", DEFAULT_RETRY_AFTER))
    values.setdefault("lease", min(LONGEST_DEFAULT_LEASE, retry_after))
    values["options"] = MappingProxyType(dict(values.get("options", {})))
    for key in _POSITIVE:
        if key in values:
            values[key] = float(values[key])
    return ConnectionConfig(name=name, **values)


def connection_configs(given: Mapping[str, Mapping[str, Any]]) -> dict[str, ConnectionConfig]:
    """Return all connections, or raise one `ConfigurationError` about all that are wrong."""
    configs: dict[str, ConnectionConfig] = {}
    problems: list[str] = []
    for name, entry in given.items():
        try:
            configs[name] = connection_config(name, entry)
        except ConfigurationError as error:
            problems += [f"{name!r}: {problem}" for problem in error.problems]
    if problems:
        subject = "The configuration of connections"
        raise ConfigurationError(subject, problems)
    return configs


def _problems(given: Mapping[str, Any]) -> list[str]:
    found = [
        f"unknown setting {key!r}{nearest(str(key), _KEYS)}" for key in given if key not in _KEYS
    ]
    found += _text_problems(given) + _number_problems(given)
    if not isinstance(given.get("after_commit", False), bool):
        found.append(f"'after_commit' must be true or false, not {given['after_commit']!r}")
    if not hasattr(given.get("options", {}), "items"):
        found.append(f"'options' must be a mapping, not {given['options']!r}")
    return found


def _text_problems(given: Mapping[str, Any]) -> list[str]:
    found = []
    if not given.get("driver"):
        found.append("'driver' is missing")
    for key in ("driver", "queue", "prefix", "url"):
        value = given.get(key, "-")
        if not isinstance(value, str):
            found.append(f"{key!r} must be text, not {value!r}")
        elif key == "queue" and not is_queue_name(value):
            found.append(f"'queue' must have {QUEUE_NAME}, not {value!r}")
    return found


def _number_problems(given: Mapping[str, Any]) -> list[str]:
    found = []
    for key in _POSITIVE:
        value = given.get(key, 1.0)
        if not _is_number(value) or not 0 < value < float("inf"):
            found.append(f"{key!r} must be a number of seconds above 0, not {value!r}")
    for key in _COUNTS:
        value = given.get(key, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            found.append(f"{key!r} must be a whole number from 1 on, not {value!r}")
    lease, retry_after = given.get("lease"), given.get("retry_after", DEFAULT_RETRY_AFTER)
    if _is_number(lease) and _is_number(retry_after) and lease > retry_after:
        found.append(f"'lease' ({lease:g} s) must not be above 'retry_after' ({retry_after:g} s)")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
