"""Texts as people type them: without signs that no page can show, and not too long."""

from __future__ import annotations

import re
from typing import Final

from meet2be.language import Message
from meet2be.programme.errors import EntryRefused

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def line(field: str, text: str, most: int) -> str:
    """Return a text of one line, empty if there is none; raises ``EntryRefused``."""
    return _short_enough(field, " ".join(_CONTROL.sub(" ", text).split()), most)


def needed_line(field: str, text: str, most: int) -> str:
    """Return a text of one line that must be there; raises ``EntryRefused``."""
    found = line(field, text, most)
    if not found:
        raise EntryRefused(field, Message("This field cannot be empty."))
    return found


def paragraphs(field: str, text: str, most: int) -> str:
    """Return a text of several lines, empty if there is none; raises ``EntryRefused``."""
    lines = (_CONTROL.sub(" ", part).rstrip() for part in text.replace("\r\n", "\n").split("\n"))
    return _short_enough(field, "\n".join(lines).strip(), most)


def _short_enough(field: str, text: str, most: int) -> str:
    if len(text) > most:
        raise EntryRefused(field, Message("This is longer than %(most)s characters.",
                                          {"most": most}))  # fmt: skip
    return text
