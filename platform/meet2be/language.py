"""What the platform says, in the reader's language.

The English sentence is the key of its translations; those stand in ``languages/LANGUAGE/*.po``, one
file an area, in gettext's format. A sentence takes values by name, as in ``%(number)s``. Whoever
cannot know the reader (an error, a notice) says a :class:`Message`, which is put into words later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from babel.messages.pofile import read_po

SOURCE_LANGUAGE: Final = "en"
LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "de": "Deutsch"}
"""The languages of the pages and mails, each with its own name."""
CATALOGUES: Final = Path(__file__).parent / "languages"

_spoken: ContextVar[str] = ContextVar("meet2be_language", default=SOURCE_LANGUAGE)


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence with its values, to be put into words when the reader is known.

    ``plural`` is the sentence for other numbers than one; ``number`` decides and is also the value
    ``%(number)s``. ``sense`` tells words apart that English does not ("cancelled" of an event, of
    a ticket). As a text it is English.
    """

    sentence: str
    values: Mapping[str, Any] = field(default_factory=dict)
    plural: str | None = None
    number: int | None = None
    sense: str = ""

    def __str__(self) -> str:
        return self.in_language(SOURCE_LANGUAGE)

    def in_language(self, locale: str) -> str:
        """Return the sentence in the language of a locale such as ``de-AT``."""
        values = {name: _in_words(value, locale) for name, value in self.values.items()}
        if self.plural is None or self.number is None:
            text = _translated(language_of(locale), self.sentence, self.sense)
        else:
            language = language_of(locale)
            text = _translated_number(language, self.sentence, self.plural, self.number)
            values.setdefault("number", str(self.number))
        return text % values


def _(sentence: str, **values: Any) -> str:
    """Return a sentence in the language that is spoken now."""
    return Message(sentence, values).in_language(_spoken.get())


def ngettext(singular: str, plural: str, number: int, **values: Any) -> str:
    """Return the sentence for a number of things, in the language that is spoken now."""
    return Message(singular, values, plural, number).in_language(_spoken.get())


def in_sense(sense: str, sentence: str, **values: Any) -> Message:
    """Return a message whose translation depends on what it is said of."""
    return Message(sentence, values, sense=sense)


def joined(messages: Iterable[Message | str], mark: str = "; ") -> Message | str:
    """Return messages as one, with a mark between them; empty when there are none."""
    parts = list(messages)
    if not parts:
        return ""
    places = {f"part{number}": part for number, part in enumerate(parts)}
    return Message(mark.join(f"%({name})s" for name in places), places)


def unexpected(error: BaseException) -> Message:
    """Return what a person is told of an error nobody foresaw: its kind, never its own text."""
    return Message(
        "Something went wrong on our side (%(what)s). We have kept the details; try again.",
        {"what": type(error).__name__},
    )


def sentence_in_sense(sense: str, sentence: str) -> str:
    """Return the translation for a sense, with its places for values: what templates ask for."""
    return _translated(_spoken.get(), sentence, sense)


def sentence_of(sentence: str) -> str:
    """Return a sentence's translation with its places for values: what templates ask for."""
    return _translated(_spoken.get(), sentence)


def sentences_of(singular: str, plural: str, number: int) -> str:
    """Return the translation that fits a number, with its places for values, for templates."""
    return _translated_number(_spoken.get(), singular, plural, number)


def N_(sentence: str) -> str:  # noqa: N802 -- gettext's own name for a mark
    """Mark a sentence that is put into words elsewhere, with :func:`_`; returns it as it is."""
    return sentence


def NC_(sense: str, sentence: str) -> str:  # noqa: ARG001, N802 -- as above, the mark of a sense
    """Mark a sentence that is said in a sense elsewhere; returns it as it is."""
    return sentence


def said(thing: object) -> str:
    """Return a message, or what an error says, in the language that is spoken now."""
    if isinstance(thing, BaseException) and thing.args and isinstance(thing.args[0], Message):
        thing = thing.args[0]
    return thing.in_language(_spoken.get()) if isinstance(thing, Message) else str(thing)


def spoken() -> str:
    """Return the language that is spoken now, such as ``de``."""
    return _spoken.get()


def speak(locale: str) -> None:
    """Speak the language of a locale from now on, in this thread or task."""
    _spoken.set(language_of(locale))


@contextmanager
def speaking(locale: str) -> Iterator[None]:
    """Speak the language of a locale inside the block."""
    token = _spoken.set(language_of(locale))
    try:
        yield
    finally:
        _spoken.reset(token)


def language_of(locale: str) -> str:
    """Return the language of a locale, the source language where there is no translation."""
    language = locale.replace("_", "-").partition("-")[0].lower()
    return language if language in LANGUAGES else SOURCE_LANGUAGE


def _in_words(value: Any, locale: str) -> Any:
    return value.in_language(locale) if isinstance(value, Message) else value


def _translated(language: str, sentence: str, sense: str = "") -> str:
    catalogue = _catalogue(language)
    found = catalogue.get(_key(sentence, sense)) or catalogue.get(sentence, "")
    text = found if isinstance(found, str) else found[0]
    return text or sentence


def _translated_number(language: str, singular: str, plural: str, number: int) -> str:
    # Both languages have two forms, as gettext numbers them: one thing, and any other number.
    form = 0 if number == 1 else 1
    found = _catalogue(language).get(singular, "")
    if isinstance(found, tuple) and len(found) > form and found[form]:
        return found[form]
    return (singular, plural)[form]


def _key(sentence: str, sense: str | None) -> str:
    """Return where a sentence stands in a catalogue: gettext's way to join it with its sense."""
    return f"{sense}\x04{sentence}" if sense else sentence


@lru_cache(maxsize=len(LANGUAGES))
def _catalogue(language: str) -> dict[str, str | tuple[str, ...]]:
    """Return the translations of all areas; empty for the source language."""
    found: dict[str, str | tuple[str, ...]] = {}
    for path in sorted((CATALOGUES / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                key = message.id if isinstance(message.id, str) else message.id[0]
                if key and message.string:
                    text = message.string
                    found[_key(key, message.context)] = (
                        text if isinstance(text, str) else tuple(text)
                    )
    return found
