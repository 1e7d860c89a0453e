"""Signatures of Standard Webhooks 1.0.0, and the keys that make them.

Two kinds: ``v1`` is HMAC-SHA256 with a secret that both sides know, ``v1a`` is Ed25519 with a pair
of keys of which receivers know only the public one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

PREFIX: Final = "whsec_"
PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"
PREFIXES: Final = (PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX)
SECRET_BYTES: Final = 32
TOLERANCE: Final = 300
"""Seconds by which receivers' clocks may differ: the reference libraries' own."""

Key = bytes | Ed25519PrivateKey
"""What signs: a secret's bytes (``v1``), or a private key (``v1a``)."""


def new_secret() -> str:
    """Return a fresh secret as it is shown, once."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def new_pair() -> tuple[str, str]:
    """Return a fresh private key, which nobody is shown, and its public one."""
    private = Ed25519PrivateKey.generate()
    return (
        PRIVATE_PREFIX + base64.b64encode(private.private_bytes_raw()).decode(),
        PUBLIC_PREFIX + base64.b64encode(private.public_key().public_bytes_raw()).decode(),
    )


def key_of(text: str) -> Key:
    """Return what signs by a secret or a private key; raises ``ValueError`` for what is neither."""
    if text.startswith(PRIVATE_PREFIX):
        return Ed25519PrivateKey.from_private_bytes(_bytes_of(text, PRIVATE_PREFIX))
    return _bytes_of(text, PREFIX)


def sign(keys: Sequence[Key], webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature header: one token for each key, in their order, with blanks between.

    Secrets should stand before private keys: some libraries stop at what they do not know.
    """
    content = _content(webhook_id, timestamp, body)
    return " ".join(_token(key, content) for key in keys)


def verifies(key_text: str, headers: tuple[str, int, str], body: bytes) -> bool:
    """Tell whether one token was made with a secret, or fits a public key.

    ``headers`` are id, timestamp and signature. Raises ``ValueError`` for what is no key.
    """
    webhook_id, timestamp, given = headers
    content = _content(webhook_id, timestamp, body)
    if key_text.startswith(PUBLIC_PREFIX):
        public = Ed25519PublicKey.from_public_bytes(_bytes_of(key_text, PUBLIC_PREFIX))
        tokens = [each[4:] for each in given.split() if each.startswith("v1a,")]
        return any(_fits(public, token, content) for token in tokens)
    ours = _token(_bytes_of(key_text, PREFIX), content).encode()
    return any(hmac.compare_digest(each.encode(), ours) for each in given.split())


def _content(webhook_id: str, timestamp: int, body: bytes) -> bytes:
    return b"%s.%d.%s" % (webhook_id.encode(), timestamp, body)


def _token(key: Key, content: bytes) -> str:
    if isinstance(key, bytes):
        return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return "v1a," + base64.b64encode(key.sign(content)).decode()


def _fits(public: Ed25519PublicKey, token: str, content: bytes) -> bool:
    try:
        public.verify(base64.b64decode(token, validate=True), content)
    except (InvalidSignature, ValueError):  # binascii.Error is one
        return False
    return True


def _bytes_of(text: str, prefix: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(prefix), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a key is {prefix} and base64") from error
