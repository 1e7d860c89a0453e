"""Text that files of any kind can hold, and that no spreadsheet takes for a command.

Each check looks at a whole column at once, which for a million rows is what makes it cheap; cells
are looked at one by one only where the column has something to mend.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_BLANK = r"[\s\ufeff\u200b-\u200f\u2060\u202a-\u202e]"
# OWASP's list, its full-width forms (which East Asian versions read alike), also behind blanks.
_COMMAND = re.compile(rf"{_BLANK}*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\x00]")
# The first signs of all texts that _COMMAND takes, so that a column is looked at in one step.
_SUSPECT: Final = frozenset("=+-@\uff1d\uff0b\uff0d\uff20\x00\ufeff\u2060").union(
    (chr(code) for code in range(0x3001) if chr(code).isspace()),
    map(chr, range(0x200B, 0x2010)),
    map(chr, range(0x202A, 0x202F)),
)
# A sign and nothing but digits and what stands between those of a phone: -5,30 or +49 (0)30 12-3.
_NUMBER = re.compile(r"\s*[+\-]\s?\(?\d[\d\s().,/\-]*\Z", re.ASCII)
# XML 1.0 has no place for these, and UTF-8 none for halves of characters.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
REPLACEMENT: Final = "\ufffd"


def without_commands(texts: Sequence[str | None]) -> Sequence[str | None]:
    """Return texts before which an apostrophe stands where a spreadsheet would see a command.

    Numbers with a sign and phone numbers stay as they are: OWASP's "CSV injection".
    """
    if _SUSPECT.isdisjoint({text[0] for text in texts if text}):
        return texts
    return [text and without_command(text) for text in texts]


def without_command(text: str) -> str:
    """Return the text, behind an apostrophe when a spreadsheet would see a command."""
    return f"'{text}" if _COMMAND.match(text) and not _NUMBER.match(text) else text


def writable(texts: Sequence[str | None]) -> Sequence[str | None]:
    """Return texts in which a replacement stands for what no file can hold."""
    whole = "".join(filter(None, texts))
    if whole.isprintable() or not _UNWRITABLE.search(whole):
        return texts
    return [text and _UNWRITABLE.sub(REPLACEMENT, text) for text in texts]


def utf16_length(text: str) -> int:
    """Return a text's length as Excel counts it: signs beyond the first 65,536 count twice."""
    return len(text) + sum(sign > "\uffff" for sign in text)


def cut_to(text: str, most: int) -> str:
    """Return the beginning of a text that Excel counts as ``most`` units, no sign torn apart."""
    units = text.encode("utf-16-le")[: 2 * most]
    return units.decode("utf-16-le", "ignore")
