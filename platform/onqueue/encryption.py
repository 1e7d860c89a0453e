"""A job's data as text that only the application's keys open: AES-256-GCM, from the extra.

The job's name, its version and its tenant are bound to it, so that what was encrypted for one
cannot be read as another's; a retry, which changes times and nothing else, can.
"""

from __future__ import annotations

import base64
import binascii
import json
from os import urandom
from typing import TYPE_CHECKING

from onqueue.errors import ConfigurationError, PayloadAltered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from onqueue.keyring import Keyring

_NONCE = 12
"""Bytes: what GCM was made for. Random, so a key is good for 2^32 payloads."""


def encrypt(keys: Keyring, job: str, text: bytes, bound: bytes) -> str:
    """Return the text encrypted with the present key; raises `NoAppKeys`."""
    key = keys.present(job, "encryption")
    nonce = urandom(_NONCE)
    closed = _cipher(job, key.encrypting).encrypt(nonce, text, bound)
    return f"{key.id}.{base64.b64encode(nonce + closed).decode('ascii')}"


def decrypt(keys: Keyring, job: str, sealed: str, bound: bytes) -> bytes:
    """Return what was encrypted; raises `KeyGone` or `PayloadAltered`."""
    from cryptography.exceptions import InvalidTag

    key_id, _, text = sealed.partition(".")
    key = keys.find(key_id, job)
    try:
        closed = base64.b64decode(text, validate=True)
        return _cipher(job, key.encrypting).decrypt(closed[:_NONCE], closed[_NONCE:], bound)
    except (InvalidTag, binascii.Error, ValueError) as error:
        why = f"it cannot be opened with key {key_id!r}"
        raise PayloadAltered(job, why) from error


def bound_to(job: str, version: int, context: Mapping[str, str]) -> bytes:
    """Return what is bound to the data: the parts that stay the same in a retry."""
    return json.dumps(["onqueue 1", job, version, context.get("tenant")]).encode()


def _cipher(job: str, key: bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        problem = "it is encrypted, and cryptography is not here: install the extra 'encryption'"
        raise ConfigurationError(f"Job {job!r}", [problem]) from error
    return AESGCM(key)
