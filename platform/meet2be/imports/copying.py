"""An uploaded file on its way into the store: looked at while it passes, never held whole."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass
from typing import BinaryIO, Final

from meet2be.imports.detection import SAMPLE
from meet2be.imports.errors import UnreadableUpload
from meet2be.imports.limits import LARGEST_UPLOAD
from meet2be.language import Message

_PIECE: Final = 1 << 18


@dataclass(slots=True)
class Copied:
    """What was seen while a file was copied."""

    size: int = 0
    sha256: str = ""
    head: bytes = b""
    tail: bytes = b""
    is_utf8: bool = True


def tail_of(file: BinaryIO) -> bytes:
    """Return the end of a file; raises UnreadableUpload when it is too large."""
    size = file.seek(0, 2)
    if size > LARGEST_UPLOAD:
        raise UnreadableUpload(
            Message(
                "The file has more than %(most)s MB. Upload it in parts.",
                {"most": LARGEST_UPLOAD // 1024 // 1024},
            )
        )
    file.seek(max(0, size - SAMPLE))
    return file.read(SAMPLE)


def copied_into(file: BinaryIO, target: BinaryIO) -> Copied:
    """Copy a file piece by piece, and look at it in passing."""
    copied, digest = Copied(), hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    while piece := file.read(_PIECE):
        target.write(piece)
        digest.update(piece)
        copied.size += len(piece)
        copied.head = copied.head or piece[:SAMPLE]
        copied.is_utf8 = copied.is_utf8 and _decodes(decoder, piece)
    copied.is_utf8 = copied.is_utf8 and _decodes(decoder, b"", is_last=True)
    copied.sha256 = digest.hexdigest()
    return copied


def _decodes(decoder: codecs.IncrementalDecoder, piece: bytes, *, is_last: bool = False) -> bool:
    try:
        decoder.decode(piece, is_last)
    except UnicodeDecodeError:
        return False
    return True
