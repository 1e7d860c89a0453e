"""The keys of the application: the first one signs and encrypts, all of them verify and decrypt.

From each key two others are derived, one to sign and one to encrypt, so that neither use says
anything about the other.
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import TYPE_CHECKING, NamedTuple

from onqueue.errors import ConfigurationError, KeyGone, NoAppKeys

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST_KEY = 32
"""Bytes: what HMAC-SHA256 and AES-256 can make full use of."""

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")


class AppKey(NamedTuple):
    """One key as it is used: by its id, which is no secret and travels with what it closed."""

    id: str
    signing: bytes
    encrypting: bytes


class Keyring:
    """The application's keys; the first is the present one."""

    def __init__(self, keys: Iterable[tuple[str, bytes]] = ()) -> None:
        """Take pairs of id and key; raises `ConfigurationError` with all that is wrong."""
        given = list(keys)
        problems = [problem for entry in given for problem in _problems(entry)]
        ids = [key_id for key_id, _ in given] if not problems else []
        twice = sorted({key_id for key_id in ids if ids.count(key_id) > 1})
        problems += [f"key {key_id!r} is given more than once" for key_id in twice]
        if problems:
            subject = "The app_keys"
            raise ConfigurationError(subject, problems)
        self._keys = {key_id: _derived(key_id, key) for key_id, key in given}

    def __bool__(self) -> bool:
        """Tell whether there is any key."""
        return bool(self._keys)

    def present(self, job: str, need: str) -> AppKey:
        """Return the key that signs and encrypts; raises `NoAppKeys` with who needs it for what."""
        for key in self._keys.values():
            return key
        raise NoAppKeys(job, need)

    def find(self, key_id: str, job: str) -> AppKey:
        """Return the key that closed something of a job; raises `KeyGone`."""
        try:
            return self._keys[key_id]
        except KeyError:
            raise KeyGone(job, key_id, self._keys) from None

    def sign(self, job: str, message: bytes) -> str:
        """Return the message's seal: the key's id and an HMAC-SHA256; raises `NoAppKeys`."""
        key = self.present(job, "a signature")
        return f"{key.id}.{_mac(key, message)}"

    def digest(self, job: str, message: bytes) -> str:
        """Return what tells messages apart without telling anything else of them (32 digits)."""
        key = self.present(job, "a digest")
        return hmac.digest(key.signing, b"digest " + message, "sha256").hex()[:32]

    def vouches_for(self, job: str, message: bytes, seal: str) -> bool:
        """Tell whether one of the keys made the seal for this very message.

        Raises `KeyGone` when the key that the seal names is not here, as nobody can tell then.
        """
        key_id, _, mac = seal.partition(".")
        if not _KEY_ID.fullmatch(key_id):
            return False
        return hmac.compare_digest(_mac(self.find(key_id, job), message).encode(), mac.encode())


def _mac(key: AppKey, message: bytes) -> str:
    digest = hmac.digest(key.signing, message, "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _derived(key_id: str, key: bytes) -> AppKey:
    def derive(purpose: bytes) -> bytes:
        return hmac.digest(key, b"onqueue 1 " + purpose, "sha256")

    return AppKey(key_id, derive(b"sign"), derive(b"encrypt"))


def _problems(entry: object) -> list[str]:
    match entry:
        case (str(key_id), bytes(key)):
            if not _KEY_ID.fullmatch(key_id):
                return [f"key id {key_id!r} must be 1 to 40 letters, digits, '-' or '_'"]
            if len(key) < SHORTEST_KEY:
                return [f"key {key_id!r} has {len(key)} bytes, needed are {SHORTEST_KEY} or more"]
            return []
        case _:
            # Without the entry itself, which may hold a secret.
            return [
                f"each must be a pair of id (str) and key (bytes), not a {type(entry).__name__}"
            ]
