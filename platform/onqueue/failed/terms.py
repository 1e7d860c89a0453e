"""What failed jobs are found by: their tags, and the words of their errors.

An error is found by whole words and by their beginnings, in small letters. Names like
`TimeoutExceeded` are found by each of their parts, too: by "exceeded" as by "timeout".
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from onqueue.failed.describing import storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_WORDS = 64
"""So many words of one error are kept, the first ones."""

LONGEST_TERM = 64
"""Letters of a term; of a longer word the beginning counts."""

MOST_WANTED = 16
"""So many words are looked for at once: each is a condition of the statement, and nests."""

_TAG = "#"
_WORD = re.compile(r"[^\W_]+")
_PART = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def terms_of(error_type: str, error: str, tags: Iterable[str]) -> set[str]:
    """Return all terms that one failed job is found by."""
    found = {tag_term(tag) for tag in tags}
    found.update(words_of(error_type, error))
    return found


def words_of(error_type: str, error: str) -> set[str]:
    """Return the words that an error is found by: those of its type, then of its message."""
    words: set[str] = set()
    for text in (error_type, error):
        for run in _WORD.finditer(text):
            for word in _beginnings(run[0]):
                words.add(word)
                if len(words) == MOST_WORDS:
                    return words
    return words


def wanted_words(text: str) -> list[str]:
    """Return the words that somebody looks for, each once; each begins a word of the error.

    Raises `ValueError` for more than `MOST_WANTED`.
    """
    found = (run[0].lower()[:LONGEST_TERM] for run in _WORD.finditer(storable(text)))
    words = list(dict.fromkeys(found))
    if len(words) > MOST_WANTED:
        msg = (
            f"{len(words)} words are looked for at once: {MOST_WANTED} are the most, "
            "name the rarest ones"
        )
        raise ValueError(msg)
    return words


def tells(error_type: str, error: str, text: str) -> bool:
    """Tell whether an error has all the words that are looked for; no word is in none."""
    kept = words_of(error_type, error)
    wanted = wanted_words(text)
    return bool(wanted) and all(any(word.startswith(one) for word in kept) for one in wanted)


def tag_term(tag: str) -> str:
    """Return the term of a tag, which is the term of no other tag and of no word."""
    text = storable(tag)
    if len(text) >= LONGEST_TERM:
        text = f"#{hashlib.sha256(text.encode()).hexdigest()[: LONGEST_TERM - 2]}"
    return _TAG + text


def _beginnings(run: str) -> Iterator[str]:
    yield run.lower()[:LONGEST_TERM]
    for part in _PART.finditer(run):
        yield run[part.start() :].lower()[:LONGEST_TERM]
