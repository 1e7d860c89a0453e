"""Pauses as they are kept: a hash of fields, each with its end and its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from onqueue.drivers.redis.keys import lane_name
from onqueue.drivers.redis.wire import command, packed
from onqueue.quotas import Pause, PauseKind, pause_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WHOLE = b"*"
MAINTENANCE = b"!"
_KINDS: dict[str, PauseKind] = {"j": "job", "t": "tenant"}


def field_of(kind: PauseKind, name: str) -> bytes:
    """Return the field of a pause."""
    if kind == "connection":
        return WHOLE
    if kind == "maintenance":
        return MAINTENANCE
    return b"/" + name.encode() if kind == "queue" else lane_name(pause_key(kind, name))


def value_of(pause: Pause) -> bytes:
    """Return what its field holds."""
    return b"%d %b" % (int((pause.until or 0) * 1000), pause.reason.encode())


def asking(paused: bytes) -> tuple[bytes, bytes]:
    """Return the commands whose replies `pauses_in` reads."""
    return (packed(b"HGETALL", paused), command(b"TIME"))


def pauses_in(replies: Sequence[Any], offset: float) -> Iterator[Pause]:
    """Yield the pauses that last; `offset` is seconds added to the server's clock."""
    flat, (seconds, micros) = replies
    now_ms = int(seconds) * 1000 + int(micros) // 1000 + offset * 1000
    for field, value in zip(flat[::2], flat[1::2], strict=True):
        ends, _, reason = value.decode().partition(" ")
        kind, name = _read(field.decode())
        if kind is not None and (int(ends) == 0 or int(ends) > now_ms):
            yield Pause(kind, name, reason, int(ends) / 1000 if int(ends) else None)


def _read(field: str) -> tuple[PauseKind | None, str]:
    if field == "*":
        return "connection", ""
    if field == "!":
        return "maintenance", ""
    if field.startswith("/"):
        return "queue", field[1:]
    letter, colon, name = field.partition(":")
    return (_KINDS.get(letter), unquote(name)) if colon else (None, "")
