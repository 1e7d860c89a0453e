"""The seam between the platform and whatever keeps its files: a disk, or S3.

A file has a key below its organisation's prefix. It appears whole or not at all: what writes it
works on a draft that nobody sees, and a draft left behind by a killed process is cleared by the
next one. Names that people gave never become part of a key.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import BinaryIO, Final, Protocol
from urllib.parse import quote

from meet2be.errors import Meet2BeError
from meet2be.language import N_, Message

LONGEST_LINK: Final = 7 * 24 * 3600
"""Seconds that a presigned address can be good for, the limit of SigV4's X-Amz-Expires."""
LONGEST_FILENAME: Final = 150
"""UTF-8 bytes of a name offered to a browser; file systems stop at 255."""

LEFT_BEHIND: Final = timedelta(hours=24)
"""An upload that began so long ago is nobody's any more: no job runs for a day."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


class Store(Protocol):
    """Keeps files by key; every verb may raise :class:`StoreFailed`."""

    def write(
        self, key: str, *, content_type: str, filename: str = ""
    ) -> AbstractContextManager[BinaryIO]:
        """Return a file to write to, from its beginning to its end, in a ``with`` block.

        The key holds it after a clean exit, in place of what was there; after an error in the
        block nothing has changed.
        """

    def open(self, key: str) -> BinaryIO:
        """Return the file, to read once from its beginning and to close; or ``ObjectMissing``."""

    def size(self, key: str) -> int | None:
        """Return the file's bytes, None when there is no such file."""

    def delete(self, key: str) -> bool:
        """Remove the file and what unfinished writing left of it; tells whether it was there."""

    def link(self, key: str, seconds: int, *, filename: str, content_type: str) -> str | None:
        """Return an address that serves the file to anybody for some seconds, 7 days at most.

        None where the store has no addresses of its own.
        """

    def clear_leftovers(self, now: datetime) -> int:
        """Remove what killed processes did not finish, and return how many pieces it was."""


class StoreError(Meet2BeError):
    """Root of what stores raise."""


class ObjectMissing(StoreError):
    """There is no file under this key: it expired, was deleted, or never came to be."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(
            Message(N_("The file '%(key)s' is not in the store any more."), {"key": key})
        )


class StoreFailed(StoreError):
    """The store did not do what it was asked; ``is_temporary`` tells whether a repeat may help.

    ``detail`` is the store's own word, for the log.
    """

    def __init__(self, reason: Message, *, detail: str, is_temporary: bool = True) -> None:
        self.reason, self.detail, self.is_temporary = reason, detail, is_temporary
        super().__init__(reason)


class BadKey(StoreError, ValueError):
    """A part of a key could leave its organisation's prefix; a mistake of the caller."""

    def __init__(self, part: str) -> None:
        super().__init__(
            f"'{part}' cannot be part of a key: use up to 128 letters, digits, '.', '_' and '-',"
            " beginning with a letter or a digit"
        )


def tenant_key(tenant_uid: str, *parts: str) -> str:
    """Return a key below an organisation's prefix; raises :class:`BadKey`."""
    key = "/".join(("tenants", tenant_uid, *parts))
    check_key(key)
    return key


def is_of_tenant(key: str, tenant_uid: str) -> bool:
    """Tell whether a key is below an organisation's prefix."""
    return key.startswith(f"tenants/{tenant_uid}/")


def check_key(key: str) -> None:
    """Raise :class:`BadKey` unless every part of a key is harmless in paths and addresses."""
    parts = key.split("/")
    for part in parts:
        if not _PART.match(part) or ".." in part:
            raise BadKey(part)
    if len(key) > 900:  # S3 takes 1,024 bytes
        raise BadKey(key)


def clean_filename(name: str, fallback: str = "download") -> str:
    """Return a name that every system can save: no folders, no control signs, not too long."""
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))
    name = "".join("-" if sign in '/\\:*?"<>|' else sign for sign in name)
    name = "".join(sign for sign in name if unicodedata.category(sign) not in {"Cc", "Cf", "Cs"})
    name = " ".join(name.split()).rstrip(" .")
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, dot, suffix = name, "", ""
    room = LONGEST_FILENAME - len((dot + suffix).encode())
    stem = stem.lstrip(" .").encode()[:room].decode("utf-8", "ignore").strip(" .")
    return f"{stem or fallback}{dot}{suffix}"


def attachment(filename: str) -> str:
    """Return the Content-Disposition that saves a file under a name in any script (RFC 6266)."""
    name = clean_filename(filename)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = "".join(sign for sign in plain if sign not in '"\\%;') or "download"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
