"""Leaving the news of an organisation: one click in the mail program (RFC 8058), or a page.

The link bears whom it is for and is signed; it needs no log-in, and never ends. What a person has
ordered, and what is about money or access, is sent all the same.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from meet2be.errors import Meet2BeError
from meet2be.language import Message
from meet2be.mailings.suppressions import suppress

_PURPOSE = b"meet2be unsubscribe 1"


class BadLink(Meet2BeError):
    """A link is not one of ours, or was cut off."""

    def __init__(self) -> None:
        super().__init__(Message("This link is not complete. Use the one in the mail"))


@dataclass(frozen=True, slots=True)
class Leaving:
    """Who wants no more news, and of whom."""

    tenant_id: int
    email_norm: str


def token(app_key: str, leaving: Leaving) -> str:
    """Return the signed part of a link."""
    text = json.dumps([leaving.tenant_id, leaving.email_norm], separators=(",", ":")).encode()
    return f"{_b64(text)}.{_b64(_signature(app_key, text))}"


def read_token(app_keys: tuple[str, ...], given: str) -> Leaving:
    """Return whom a link is for, signed with any of the keys; raises ``BadLink``."""
    text, _, signature = given.partition(".")
    try:
        raw, claimed = _unb64(text), _unb64(signature)
        if not any(hmac.compare_digest(_signature(key, raw), claimed) for key in app_keys):
            raise BadLink
        tenant_id, email = json.loads(raw)
    except (binascii.Error, ValueError) as error:
        raise BadLink from error
    return Leaving(int(tenant_id), str(email))


def headers(base_url: str, app_key: str, leaving: Leaving) -> dict[str, str]:
    """Return the headers that let a mail program offer it (RFC 2369, RFC 8058)."""
    return {
        "List-Unsubscribe": f"<{base_url}/unsubscribe/{token(app_key, leaving)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def leave(session: Session, leaving: Leaving, now: datetime) -> bool:
    """Send no more news to this address; False when it had left. The caller commits."""
    return suppress(
        session,
        leaving.tenant_id,
        leaving.email_norm,
        "unsubscribe",
        "non_transactional",
        now=now,
    )


def _signature(app_key: str, text: bytes) -> bytes:
    key = hmac.digest(app_key.encode(), _PURPOSE, "sha256")
    return hmac.digest(key, text, "sha256")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
