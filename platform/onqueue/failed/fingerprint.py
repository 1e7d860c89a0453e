"""Which failures are the same: what errors are grouped by."""

from __future__ import annotations

import hashlib
import re

_FRAME = re.compile(r'^[ |+]*File "(?P<file>[^"]+)", line \d+, in (?P<function>.+)$', re.MULTILINE)
_MASKS = (
    # Addresses and paths, as two tenants, two machines and two releases have other ones.
    re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>)\],]+", re.IGNORECASE),
    re.compile(r"[^\s'\"<>()=:,]+@[^\s'\"<>(),]+"),
    re.compile(r"(?<![\w.])(?:[A-Z]:)?[\\/][^\s'\"<>():,]+", re.IGNORECASE),
    # Whatever has a digit in it: numbers, amounts, dates, uuids, `0x7f31ab`, `evt_1Nq8x`.
    re.compile(r"[\w.+-]*\d(?:[\w.+-]|:(?=\d))*"),
    # Hexadecimal digits that happen to be letters only.
    re.compile(r"\b[0-9a-f]{8,}\b", re.IGNORECASE),
)
# A list of ids is the same at any length.
_REPEATED = re.compile(r"(?:(?P<quote>['\"]?)#(?P=quote))(?:[\s,;/|]+(?:and )?['\"]?#['\"]?)+")
_SPACE = re.compile(r"\s+")
_LONGEST = 500
_READ = 1_500


def fingerprint(job: str, error_type: str, error: str, traceback: str) -> str:
    """Return 32 hexadecimal digits, equal for failures of one cause.

    Of the traceback the innermost frame counts, without its line: that changes with every
    release. Numbers, ids, addresses and paths in the message do not count.
    """
    frames = [
        (match["file"].replace("\\", "/").rpartition("/")[2], match["function"])
        for match in _FRAME.finditer(traceback)
    ]
    last = frames[-1] if frames else ("", "")
    cause = "\x00".join((job, error_type, *last, cause_of(error)))
    return hashlib.sha256(cause.encode("utf-8", "replace")).hexdigest()[:32]


def cause_of(error: str) -> str:
    """Return a message without what differs between failures of one cause ("#" in its place)."""
    text = error[:_READ]
    for mask in _MASKS:
        text = mask.sub("#", text)
    return _SPACE.sub(" ", _REPEATED.sub("#", text)).strip()[:_LONGEST]
