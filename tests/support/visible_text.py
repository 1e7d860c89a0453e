"""What a person reads of a page: its text, and the words that screen readers and fields show."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser

from babel.messages.pofile import read_po

from meet2be.language import CATALOGUES

SPOKEN = frozenset({"placeholder", "aria-label", "title", "data-label", "data-spoken", "alt"})
UNSEEN = frozenset({"script", "style", "code", "pre"})
LONG = 12
PLACE = re.compile(r"%\(\w+\)s|%%")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in UNSEEN
        self.pieces += [value for name, value in attributes if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in UNSEEN

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)


def visible_text(page: str) -> str:
    """Return what is read on a page, one piece a line, blanks made single."""
    reader = _Reader()
    reader.feed(page)
    return "\n".join(" ".join(piece.split()) for piece in reader.pieces if piece.strip())


def foreign_sentences(language: str, text: str) -> set[str]:
    """Return the English sentences of ours in a text that should be in ``language``."""
    return {
        sentence
        for sentence, (longest, pattern) in _patterns(language).items()
        if longest in text and pattern.search(text)
    }


@cache
def _patterns(language: str) -> dict[str, tuple[str, re.Pattern[str]]]:
    found = {}
    for path in sorted((CATALOGUES / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
                texts = message.string or ""
                translated = {texts} if isinstance(texts, str) else set(texts)
                for sentence in ids:
                    pieces = [piece.strip() for piece in PLACE.split(sentence) if piece.strip()]
                    longest = max(pieces, key=len, default="")
                    if len(longest) > LONG and sentence not in translated:
                        words = r"[^\n]{0,200}?".join(map(re.escape, pieces))
                        found[sentence] = longest, re.compile(rf"(?<!\w){words}(?!\w)")
    return found
