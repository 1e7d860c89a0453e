"""Passwords: argon2id at the library's cost (RFC 9106), lengths after OWASP ASVS 5.0 §6.2."""

from __future__ import annotations

from functools import lru_cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from meet2be.accounts.errors import WeakPassword
from meet2be.language import Message

SHORTEST, LONGEST = 10, 256
# A hash takes 64 MiB: however many log-ins arrive at once, this many are computed.
_AT_ONCE = BoundedSemaphore(2)
_HASHER = PasswordHasher()
_WELL_KNOWN = frozenset({"password", "passwort", "qwertzuiop", "qwertyuiop", "meet2be"})


def check_strength(password: str) -> None:
    """Raise ``WeakPassword`` for a password nobody should use."""
    if len(password) < SHORTEST:
        raise WeakPassword(
            Message(
                "it has %(length)s characters, at least %(least)s are needed",
                {"length": len(password), "least": SHORTEST},
            )
        )
    if len(password) > LONGEST:
        raise WeakPassword(Message("it is longer than %(most)s characters", {"most": LONGEST}))
    if password.casefold().strip("0123456789!.") in _WELL_KNOWN or len(set(password)) < 4:
        raise WeakPassword(Message("it is among the first that anybody would guess"))


def hash_password(password: str) -> str:
    """Return the argon2id hash to store; raises ``WeakPassword``."""
    check_strength(password)
    with _AT_ONCE:
        return _HASHER.hash(password)


def password_fits(stored: str | None, password: str) -> bool:
    """Tell whether ``password`` is the one behind ``stored``; takes as long when there is none."""
    with _AT_ONCE:
        try:
            fits: bool = _HASHER.verify(stored or _nobodys_hash(), password[:LONGEST])
        except (VerificationError, InvalidHashError):
            fits = False
    return fits and stored is not None


def should_be_hashed_again(stored: str) -> bool:
    """Tell whether ``stored`` was made with a lower cost than today's."""
    return _HASHER.check_needs_rehash(stored)


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _HASHER.hash("nobody has this password, and it is checked all the same")
