"""What an error says, as a sentence on a page."""

from __future__ import annotations

from meet2be.language import said


def sentence(thing: object) -> str:
    """Return what a message or an error says to the reader, with the mark that ends a sentence."""
    text = said(thing)
    return text if text.endswith((".", "?")) else f"{text}."
