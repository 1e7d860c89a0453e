"""Where a page of a list goes on: a row's place, signed for one tenant, list and filter."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from meet2be.web.api.problems import Problem

_TAG: Final = 16


class Cursors:
    """Makes and reads cursors with the application's key."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()[:64]

    def write(self, place: Sequence[Any], context: str) -> str:
        """Return the cursor of a row's place; only the same ``context`` reads it."""
        raw = json.dumps([_packed(value) for value in place], ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(self._tag(raw, context) + raw).decode().rstrip("=")

    def read(self, cursor: str, context: str) -> tuple[Any, ...]:
        """Return the place; raises ``Problem`` for what was not written for this context."""
        try:
            whole = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError) as error:
            raise Problem("bad_cursor") from error
        tag, raw = whole[:_TAG], whole[_TAG:]
        if not hmac.compare_digest(tag, self._tag(raw, context)):
            raise Problem("bad_cursor")
        return tuple(_unpacked(value) for value in json.loads(raw))

    def _tag(self, raw: bytes, context: str) -> bytes:
        text = context.encode() + b"\0" + raw
        return hashlib.blake2b(text, key=self._key, digest_size=_TAG).digest()


def _packed(value: Any) -> Any:
    return {"at": value.isoformat()} if isinstance(value, datetime) else value


def _unpacked(value: Any) -> Any:
    return datetime.fromisoformat(value["at"]) if isinstance(value, dict) else value
