"""Texts as people type them: without signs that no page can show, and not too long."""

from __future__ import annotations

from meet2be.language import Message
from meet2be.plain_text import lines, one_line
from meet2be.programme.errors import EntryRefused


def line(field: str, text: str, most: int) -> str:
    """Return a text of one line, empty if there is none; raises ``EntryRefused``."""
    return _short_enough(field, one_line(text), most)


def needed_line(field: str, text: str, most: int) -> str:
    """Return a text of one line that must be there; raises ``EntryRefused``."""
    found = line(field, text, most)
    if not found:
        raise EntryRefused(field, Message("This field cannot be empty."))
    return found


def paragraphs(field: str, text: str, most: int) -> str:
    """Return a text of several lines, empty if there is none; raises ``EntryRefused``."""
    return _short_enough(field, lines(text), most)


def _short_enough(field: str, text: str, most: int) -> str:
    if len(text) > most:
        raise EntryRefused(field, Message("This is longer than %(most)s characters.",
                                          {"most": most}))  # fmt: skip
    return text
