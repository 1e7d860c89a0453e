"""Characters that no name or title may hold: they show nothing, or let others show falsely.

Controls (with ESC, which terminals obey), the separators U+2028 and U+2029, halves of surrogate
pairs, and the signs that turn the direction of what follows round (Unicode's UAX 9: embeddings,
overrides and isolates), by which "gpj.exe" can be made to look like a picture. The marks U+200E,
U+200F and U+061C stay, and the joiners: Arabic, Hebrew, Persian and emoji need them.
"""

from __future__ import annotations

import re
from typing import Final

_TURNS: Final = "\u202a-\u202e\u2066-\u2069"
_CONTROLS: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_TURN: Final = re.compile(f"[{_TURNS}]")
_CONTROL: Final = re.compile(f"[{_CONTROLS}\r]")
_UNFIT: Final = re.compile(f"[{_CONTROLS}{_TURNS}]")


def one_line(text: str) -> str:
    """Return a text without such characters in one line, with single blanks."""
    return " ".join(_CONTROL.sub(" ", _TURN.sub("", text)).split())


def lines(text: str) -> str:
    """Return a text of several lines without such characters, and without blanks at their ends."""
    parts = _TURN.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(_CONTROL.sub(" ", part).rstrip() for part in parts).strip()


def unfit(text: str) -> str | None:
    """Return the first character that may not be there, as in ``U+202E``; None where all may."""
    found = _UNFIT.search(text)
    return None if found is None else f"U+{ord(found[0]):04X}"
