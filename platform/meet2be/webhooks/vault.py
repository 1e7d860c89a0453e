"""Secrets at rest: AES-256-GCM under a key made from the application's key.

What is closed names the key that closed it, so that former keys open what they closed, and is
bound to its place: moved to another row it cannot be opened. Small texts that come back to us are
signed under a second key made from the same one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from meet2be.webhooks.errors import SealedWithLostKeyError

_PURPOSE: Final = b"meet2be webhook secrets 1"
_SIGNING: Final = b"meet2be webhook signs 1"
_KEPT_OF_SIGNATURE: Final = 16
"""Bytes: as many as a forger would have to guess."""
_NONCE: Final = 12


class Vault:
    """Closes and opens small texts."""

    def __init__(self, app_keys: Sequence[str]) -> None:
        """Take the application's keys, the present one first."""
        self._ciphers = {
            _id_of(key): AESGCM(hmac.digest(key.encode(), _PURPOSE, "sha256"))
            for key in dict.fromkeys(app_keys)
        }
        self._present = next(iter(self._ciphers))
        self._signing = [
            hmac.digest(key.encode(), _SIGNING, "sha256") for key in dict.fromkeys(app_keys)
        ]

    def close(self, text: str, place: str) -> str:
        """Return the text, closed for a place such as ``secret:<uid>``."""
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[self._present].encrypt(nonce, text.encode(), place.encode())
        return f"{self._present}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """Return what was closed for this place; raises ``SealedWithLostKeyError``."""
        key_id, _, text = sealed.partition(".")
        try:
            raw = base64.b64decode(text, validate=True)
            opened = self._ciphers[key_id].decrypt(raw[:_NONCE], raw[_NONCE:], place.encode())
        except (KeyError, InvalidTag, binascii.Error, ValueError) as error:
            raise SealedWithLostKeyError(place) from error
        return opened.decode()

    def sign(self, text: str) -> str:
        """Return the signature of a text that says what it is for: 22 characters of an address."""
        return _signature(self._signing[0], text)

    def has_signed(self, text: str, signature: str) -> bool:
        """Tell whether a signature was made for this text, under the present key or a former."""
        return any(hmac.compare_digest(_signature(key, text), signature) for key in self._signing)


def _signature(key: bytes, text: str) -> str:
    made = hmac.digest(key, text.encode(), "sha256")[:_KEPT_OF_SIGNATURE]
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def _id_of(app_key: str) -> str:
    return hashlib.blake2b(_PURPOSE, key=app_key.encode()[:64], digest_size=4).hexdigest()
