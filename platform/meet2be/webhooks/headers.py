"""Headers of endpoints: which an endpoint may add, what is sent, and what of it is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from meet2be.language import Message
from meet2be.webhooks.errors import RefusedEndpointError

MOST_HEADERS: Final = 10
LONGEST_VALUE: Final = 1000
HIDDEN: Final = "•••"
USER_AGENT: Final = "Meet2Be-Webhooks/1.0"
DEPTH_HEADER: Final = "Meet2Be-Webhook-Depth"
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_RESERVED: Final = frozenset((
    "host", "content-length", "content-type", "content-encoding", "connection", "keep-alive",
    "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "expect", "date", "user-agent", "accept-encoding", "cookie",
))  # fmt: skip
_RESERVED_PREFIXES: Final = ("webhook-", "svix-", "meet2be-", "proxy-", "x-forwarded-")
_SHOWN_PART: Final = 500
_MOST_KEPT: Final = 60
_SECRET_ANSWERS: Final = frozenset(("set-cookie", "authorization", "www-authenticate"))


def checked(text: str) -> dict[str, str]:
    """Return the headers written in ``text``, one a line as ``Name: value``.

    Raises ``RefusedEndpointError`` for what is no header, what is ours to say, and too many.
    """
    found: dict[str, str] = {}
    for line in filter(None, (each.strip() for each in text.splitlines())):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not _NAME.fullmatch(name) or not value:
            raise RefusedEndpointError(
                Message("'%(line)s' is not a header. Write Name: value.", {"line": line[:60]})
            )
        if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_PREFIXES):
            raise RefusedEndpointError(
                Message("The header '%(name)s' cannot be set here.", {"name": name})
            )
        if len(value) > LONGEST_VALUE or not (value.isascii() and value.isprintable()):
            raise RefusedEndpointError(
                Message(
                    "The value of '%(name)s' must be up to %(most)s plain characters.",
                    {"name": name, "most": LONGEST_VALUE},
                )
            )
        found[name] = value
    if len(found) > MOST_HEADERS:
        raise RefusedEndpointError(
            Message("At most %(most)s headers can be added.", {"most": MOST_HEADERS})
        )
    return found


def packed(headers: Mapping[str, str]) -> str:
    """Return headers as the text that is encrypted."""
    return json.dumps(dict(headers))


def unpacked(text: str) -> dict[str, str]:
    """Return the headers of such a text."""
    return {str(name): str(value) for name, value in json.loads(text).items()}


def kept_of_request(headers: Mapping[str, str], own: Iterable[str]) -> dict[str, str]:
    """Return what the log keeps of the headers that were sent: own ones without their value."""
    hidden = {name.lower() for name in own}
    return {
        name: HIDDEN if name.lower() in hidden else value[:_SHOWN_PART]
        for name, value in headers.items()
    }


def kept_of_answer(headers: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Return what the log keeps of the headers that came back."""
    return {
        name[:100]: HIDDEN
        if name in _SECRET_ANSWERS
        else without_secrets(value, secrets)[:_SHOWN_PART]
        for name, value in list(headers.items())[:_MOST_KEPT]
    }


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return the text with secrets starred out, and without NUL, which PostgreSQL cannot keep."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text.replace("\0", "\ufffd")
