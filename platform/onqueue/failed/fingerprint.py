"""Which failures are the same: what errors are grouped by."""

from __future__ import annotations

import hashlib
import re

_FRAME = re.compile(r'^ *File "(?P<file>[^"]+)", line \d+, in (?P<function>.+)$', re.MULTILINE)
_VARYING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}(?:-[0-9a-f]{4,})*|\d+", re.IGNORECASE)


def fingerprint(job: str, error_type: str, error: str, traceback: str) -> str:
    """Return 32 hexadecimal digits, equal for failures of one cause.

    Of the traceback the innermost frame counts, without its line: that changes with every
    release. Numbers and ids in the message do not count.
    """
    frames = [
        (match["file"].rpartition("/")[2], match["function"])
        for match in _FRAME.finditer(traceback)
    ]
    place = frames[-1] if frames else ("", "")
    text = _VARYING.sub("#", error)[:500]
    cause = "\x00".join((job, error_type, *place, text))
    return hashlib.sha256(cause.encode("utf-8", "replace")).hexdigest()[:32]
