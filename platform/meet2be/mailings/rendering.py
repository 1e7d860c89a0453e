"""Mail texts from templates, in the reader's language.

A template ``KEY`` is the pair ``KEY.LANGUAGE.txt`` and ``KEY.LANGUAGE.html``. The first line of the
text is the subject, ``Subject: …``. A language without a template falls back to English.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from jinja2 import (
    Environment,
    PackageLoader,
    StrictUndefined,
    Template,
    TemplateNotFound,
    select_autoescape,
)

from meet2be import money
from meet2be.mailings.errors import UnknownTemplate

if TYPE_CHECKING:
    from collections.abc import Mapping

FALLBACK_LANGUAGE = "en"
SUBJECT = "Subject:"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's three texts."""

    subject: str
    text: str
    html: str


def render(key: str, locale: str, context: Mapping[str, Any]) -> Rendered:
    """Return the texts of template ``key`` for a reader of ``locale`` (``de-DE``, ``de`` …).

    Raises ``UnknownTemplate`` when there is none, and Jinja's ``UndefinedError`` when the context
    lacks a name.
    """
    text_template, html_template = _templates(key, _language(locale))
    known_locale = _babel_locale(locale)
    values = {**context, "format": _Formats(known_locale)}
    head, _, body = text_template.render(values).partition("\n")
    subject = head.removeprefix(SUBJECT).strip()
    return Rendered(subject, body.lstrip("\n"), html_template.render(values, subject=subject))


def template_keys() -> list[str]:
    """Return the names of all templates that exist."""
    names = _environment().list_templates(extensions=["txt"])
    return sorted({name.split(".")[0] for name in names})


class _Formats:
    """What a template may call to write amounts and days as its reader does."""

    def __init__(self, locale: str) -> None:
        self.locale = locale

    def money(self, minor: int, currency: str) -> str:
        return _money(minor, currency, self.locale)

    def day(self, moment: datetime) -> str:
        return _day(moment, self.locale)


# Few amounts and days make up a whole conference, and babel takes its time.
@lru_cache(maxsize=4096)
def _money(minor: int, currency: str, locale: str) -> str:
    return money.format_minor(minor, currency, locale)


@lru_cache(maxsize=256)
def _day(moment: datetime, locale: str) -> str:
    return format_date(moment, format="long", locale=locale)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("meet2be.mailings", "templates"),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@lru_cache(maxsize=256)
def _templates(key: str, language: str) -> tuple[Template, Template]:
    environment = _environment()
    try:
        return (
            environment.get_template(f"{key}.{language}.txt"),
            environment.get_template(f"{key}.{language}.html"),
        )
    except TemplateNotFound as error:
        if language != FALLBACK_LANGUAGE:
            return _templates(key, FALLBACK_LANGUAGE)
        raise UnknownTemplate(key, template_keys()) from error


def _language(locale: str) -> str:
    return locale.replace("_", "-").split("-")[0].lower() or FALLBACK_LANGUAGE


@lru_cache(maxsize=256)
def _babel_locale(locale: str) -> str:
    """Return a locale babel knows: the reader's own only where the text is in that language too."""
    wanted = locale.replace("-", "_")
    if _language(locale) not in _translated_languages():
        return FALLBACK_LANGUAGE
    try:
        return str(Locale.parse(wanted))
    except (UnknownLocaleError, ValueError):
        return FALLBACK_LANGUAGE


@lru_cache(maxsize=1)
def _translated_languages() -> frozenset[str]:
    names = _environment().list_templates(extensions=["txt"])
    return frozenset(name.split(".")[1] for name in names)
