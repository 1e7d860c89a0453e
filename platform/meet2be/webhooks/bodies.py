"""What is sent, byte for byte: canonical JSON, so that equal content has equal bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

API_VERSION: Final = "2026-11-01"
"""Which form the body has; it changes when a field is taken away or means something else."""


def canonical(value: object) -> bytes:
    """Return JSON in one form only: keys in order, no spaces, UTF-8.

    What is no character (half of a surrogate pair) becomes U+FFFD, since no UTF-8 can bear it.
    Raises ``ValueError`` for numbers that JSON does not know, ``TypeError`` for other things.
    """
    text = json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def body_of(
    *,
    uid: str,
    type_name: str,
    sequence: int,
    occurred_at: datetime,
    subject: tuple[str, str],
    event_uid: str | None,
    data: Mapping[str, Any],
    is_test: bool = False,
    further: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the body of an announcement.

    ``sequence`` rises with each announcement of a tenant: whoever has seen a higher one of the
    same subject can drop this one. The uid keeps two things apart that look the same.
    ``further`` stands beside the rest.
    """
    return canonical(
        {
            "id": uid,
            "type": type_name,
            "timestamp": iso(occurred_at),
            "sequence": sequence,
            "version": API_VERSION,
            "test": is_test,
            "subject": {"type": subject[0], "uid": subject[1]},
            "event": event_uid,
            "data": data,
            **(further or {}),
        }
    )


def iso(moment: datetime) -> str:
    """Return a moment in UTC as ISO 8601 with a ``Z``."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def unique_key(url: str, body: bytes, replay_no: int = 0) -> str:
    """Return what tells deliveries apart: the MD5 of address and body (not for security).

    A replay has a key of its own, since it is asked for on purpose.
    """
    again = f"#{replay_no}".encode() if replay_no else b""
    return hashlib.md5(url.encode() + body + again, usedforsecurity=False).hexdigest()
