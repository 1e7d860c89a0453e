import re

import pytest
from babel.messages.pofile import read_po

from meet2be.accounts.members import ROLE_WORDS
from meet2be.imports.people_rows import WRITTEN_ROLES
from meet2be.language import (
    CATALOGUES,
    LANGUAGES,
    SOURCE_LANGUAGE,
    Message,
    _,
    in_sense,
    said,
    speaking,
)
from support.sentences import sentences

PLACE = re.compile(r"%\((\w+)\)")
OTHERS = [language for language in LANGUAGES if language != SOURCE_LANGUAGE]


def catalogue(language: str) -> dict[str, tuple[str, ...]]:
    found = {}
    for path in (CATALOGUES / language).glob("*.po"):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
                texts = message.string or ""
                key = f"{message.context}\x04{ids[0]}" if message.context else ids[0]
                found[key] = (texts,) if isinstance(texts, str) else tuple(texts)
    found.pop("", None)
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_of_the_platform_has_a_translation(language: str) -> None:
    translated = catalogue(language)
    missing = {
        sentence: place
        for sentence, place in sentences().items()
        if not all(translated.get(sentence, ("",)))
    }
    assert not missing, "add these to languages/: " + "\n".join(
        f"{place}: {sentence!r}" for sentence, place in missing.items()
    )


@pytest.mark.parametrize("language", OTHERS)
def test_translations_take_the_values_of_their_sentence(language: str) -> None:
    odd = {
        sentence: texts
        for sentence, texts in catalogue(language).items()
        if any(
            set(PLACE.findall(text)) - set(PLACE.findall(sentence)) - {"number"} for text in texts
        )
    }
    assert not odd


def test_a_message_is_put_into_words_when_the_reader_is_known() -> None:
    message = Message("Events")
    assert str(message) == "Events"
    assert message.in_language("de-AT") == "Veranstaltungen"
    with speaking("de"):
        assert _("Events") == "Veranstaltungen"
        assert said(ValueError(message)) == "Veranstaltungen"
    assert _("Events") == "Events"


def test_a_word_is_translated_by_what_it_is_said_of() -> None:
    with speaking("de"):
        assert said(in_sense("event", "cancelled")) == "abgesagt"
        assert said(in_sense("state", "cancelled")) == "storniert"
        assert said(in_sense("a sense without a translation", "Events")) == "Veranstaltungen"
    assert said(in_sense("event", "cancelled")) == "cancelled"


def test_a_language_without_translations_is_spoken_in_english() -> None:
    with speaking("fr-FR"):
        assert _("Events") == "Events"


@pytest.mark.parametrize("role", ["owner", "admin", "organiser", "viewer"])
def test_a_role_has_one_name_in_german_and_lists_may_use_it(role: str) -> None:
    label = Message(ROLE_WORDS[role]).in_language("de").casefold()
    assert Message(role).in_language("de").casefold() == label
    assert WRITTEN_ROLES[label] == role
