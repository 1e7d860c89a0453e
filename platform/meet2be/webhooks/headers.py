"""Headers of endpoints: which an endpoint may add, what is sent, and what of it is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from meet2be.integrations.guarded_http import Answer, HookCallFailed
from meet2be.language import Message
from meet2be.webhooks.errors import RefusedEndpointError
from meet2be.webhooks.signing import PREFIXES

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
_SHORTEST: Final = 6
"""Characters; shorter values stand in answers by chance."""
_LONG_WORD: Final = 8
_INSTEAD_OF_NUL: Final = "\ufffd".encode()


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
    """Return what the log keeps of the headers that were sent.

    Of own ones not their value, and of the depth not the signature, which others could use.
    """
    hidden = {name.lower() for name in own}
    kept = {
        name: HIDDEN if name.lower() in hidden else value[:_SHOWN_PART]
        for name, value in headers.items()
    }
    if DEPTH_HEADER in kept:
        kept[DEPTH_HEADER] = kept[DEPTH_HEADER].partition(".")[0]
    return kept


def kept_of_answer(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what the log keeps of the headers of an answer `without_secrets`."""
    return {
        name[:100]: HIDDEN if name in _SECRET_ANSWERS else value[:_SHOWN_PART]
        for name, value in list(headers.items())[:_MOST_KEPT]
    }


def secrets_of(signing: Iterable[str], own: Mapping[str, str]) -> list[str]:
    """Return what a receiver might send back of what only it and we know, the longest first.

    Of an endpoint's own headers also the words: receivers quote a token without its ``Bearer``.
    """
    found = {_bare(text) for text in signing}
    for value in own.values():
        found.add(value)
        found.update(word for word in value.split() if len(word) >= _LONG_WORD)
    return sorted((text for text in found if len(text) >= _SHORTEST), key=len, reverse=True)


def without_secrets(
    found: Answer | HookCallFailed, secrets: Iterable[str]
) -> Answer | HookCallFailed:
    """Return what came of a call with secrets starred out, and without NUL.

    PostgreSQL cannot keep NUL. All that is stored or said of an answer is made from this.
    """
    texts = list(secrets)
    if isinstance(found, HookCallFailed):
        return HookCallFailed(found.code, _cleaned(str(found), texts), found.address)
    body = found.body.replace(b"\0", _INSTEAD_OF_NUL)
    for text in texts:
        body = body.replace(text.encode(), HIDDEN.encode())
    return replace(
        found,
        headers={
            _cleaned(name, texts): _cleaned(value, texts) for name, value in found.headers.items()
        },
        body=body,
    )


def _bare(key: str) -> str:
    for prefix in PREFIXES:
        key = key.removeprefix(prefix)
    return key


def _cleaned(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text.replace("\0", "\ufffd")
