"""What the server or the client library complains about, as errors of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
)
from redis.exceptions import (
    ConnectionError as Disconnected,
)
from redis.exceptions import (
    TimeoutError as TimedOut,
)

from onqueue.errors import BrokerError, BrokerFull, BrokerMisconfigured, BrokerUnavailable

if TYPE_CHECKING:
    from redis.exceptions import RedisError

GONE = (Disconnected, TimedOut, OSError)
"""After any of these nobody knows what the server did: the line is dropped."""


def masked(url: str) -> str:
    """Return the address without password and options."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{parts.hostname or ''}{port}{parts.path}"


def is_read_only(error: BaseException) -> bool:
    """Tell whether a replica answered; 6.2 wraps what a script met into an error of its own."""
    return isinstance(error, ReadOnlyError) or "-READONLY " in str(error)


def translated(  # noqa: PLR0911 - one for each thing that can be wrong
    error: RedisError | OSError, connection: str, address: str
) -> BrokerError:
    """Return the core's error for one of the client library's."""
    why = str(error) or type(error).__name__
    if isinstance(error, AuthenticationError | NoPermissionError):
        return BrokerMisconfigured(connection, address, f"it refuses this log-in: {why}")
    if isinstance(error, OutOfMemoryError) or "OOM command" in why:
        return BrokerFull(connection, address, "its memory is used up ('maxmemory')")
    if why.startswith("MISCONF"):
        return BrokerFull(connection, address, "it cannot write its data to disk")
    if is_read_only(error):
        return BrokerUnavailable(connection, address, "it is a read-only replica")
    if isinstance(error, BusyLoadingError):
        return BrokerUnavailable(connection, address, "it is still loading its data")
    if isinstance(error, TimedOut) and "connecting" not in why:
        why = f"no answer in time ({why}), so it may yet do what it was asked"
    if isinstance(error, GONE):
        return BrokerUnavailable(connection, address, why)
    return BrokerError(f"The broker of connection {connection!r} at {address} answered: {why}")
