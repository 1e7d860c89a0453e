"""Secrets that are shown once and kept as a hash: cookies, mailed links, API tokens."""

from __future__ import annotations

import hashlib
import secrets


def new_secret() -> str:
    """Return 256 random bits as 43 letters that may stand in an address."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """Return the SHA-256 that is kept of a secret; so many random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
