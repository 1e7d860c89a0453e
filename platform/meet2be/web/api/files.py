"""Files that come in and go out: the only bodies that are no JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A body that is a file, from its beginning; ``size`` in bytes."""

    stream: BinaryIO
    size: int


@dataclass(frozen=True, slots=True)
class Download:
    """An answer that is a file; it may be another address instead (``location``)."""

    content_type: str
    chunks: Iterable[bytes] = ()
    filename: str = ""
    size: int | None = None
    location: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
