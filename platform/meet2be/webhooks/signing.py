"""Signatures of Standard Webhooks 1.0.0, and the secrets that make them."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
TOLERANCE: Final = 300
"""Seconds by which receivers' clocks may differ: the reference libraries' own."""


def new_secret() -> str:
    """Return a fresh secret as it is shown, once."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret; raises ``ValueError`` for what is none."""
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a secret is whsec_ and base64") from error


def sign(keys: Sequence[bytes], webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature header: one token for each key, with blanks between."""
    content = b"%s.%d.%s" % (webhook_id.encode(), timestamp, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys
    )


def verifies(keys: Sequence[bytes], headers: tuple[str, int, str], body: bytes) -> bool:
    """Tell whether a signature is one of ours; headers are id, timestamp and signature."""
    webhook_id, timestamp, given = headers
    tokens = [token for token in given.split(" ") if token.startswith("v1,")]
    ours = sign(keys, webhook_id, timestamp, body).split(" ") if keys else []
    return any(hmac.compare_digest(a.encode(), b.encode()) for a in tokens for b in ours)
