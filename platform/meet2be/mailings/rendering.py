"""Mail texts from templates, in the reader's language.

A template ``KEY`` is the pair ``KEY.LANGUAGE.txt`` and ``KEY.LANGUAGE.html``. The first line of the
text is the subject, ``Subject: …``. A language without a template falls back to English.

The mails of a wave differ in a name and a code or two. So a form is rendered once for all that they
share, with marks where the rest belongs, and filled in for each.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

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
from markupsafe import Markup, escape

from meet2be import money
from meet2be.errors import Meet2BeError
from meet2be.language import N_, Message
from meet2be.mailings.errors import UnknownTemplate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

FALLBACK_LANGUAGE = "en"
SUBJECT = "Subject:"

# Nobody can put it into a name, and escaping leaves it as it is.
_MARK = secrets.token_hex(12)
_MARKED = re.compile(f"{_MARK}_([A-Za-z_]+)_{_MARK}")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's three texts."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class _Form:
    """A mail without what only one reader gets: what stands between, and the names in turn."""

    text: tuple[str, ...]
    html: tuple[str, ...]


def render(
    key: str, locale: str, context: Mapping[str, Any], personal: Collection[str] = ()
) -> Rendered:
    """Return the texts of template ``key`` for a reader of ``locale`` (``de-DE``, ``de`` …).

    ``personal`` names values that differ from mail to mail and that the template only prints; with
    them the rest is rendered once and kept, so it must be no secret. Raises ``UnknownTemplate``
    when there is none, and Jinja's ``UndefinedError`` when the context lacks a name.
    """
    own = {name: context[name] for name in personal if _is_filled_in(context.get(name))}
    if not own:
        return _finished(*_rendered(key, _language(locale), _babel_locale(locale), context))
    shared = tuple((name, value) for name, value in context.items() if name not in own)
    form = _form(key, _language(locale), _babel_locale(locale), shared, tuple(own))
    escaped = {name: escape(value) for name, value in own.items()}
    return _finished(_filled_in(form.text, own), _filled_in(form.html, escaped))


def _is_filled_in(value: object) -> bool:
    """Tell whether a value may come later: a template may still ask whether there is one."""
    return isinstance(value, str) and bool(value)


@lru_cache(maxsize=512)
def _form(
    key: str,
    language: str,
    known_locale: str,
    shared: tuple[tuple[str, Any], ...],
    own: tuple[str, ...],
) -> _Form:
    marks = {name: f"{_MARK}_{name}_{_MARK}" for name in own}
    text, html = _rendered(key, language, known_locale, {**dict(shared), **marks})
    return _Form(tuple(_MARKED.split(text)), tuple(_MARKED.split(html)))


def _filled_in(parts: tuple[str, ...], values: Mapping[str, str]) -> str:
    filled = list(parts)
    filled[1::2] = [values[name] for name in parts[1::2]]
    return "".join(filled)


def _rendered(
    key: str, language: str, known_locale: str, context: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the text, with its subject, and the HTML."""
    text_template, html_template = _templates(key, language)
    values = {**printable(context), "format": _Formats(known_locale)}
    text = text_template.render(values)
    return text, html_template.render(values, subject=_split(text)[0])


def _finished(text: str, html: str) -> Rendered:
    return Rendered(*_split(text), html)


class Lines(tuple[str, ...]):
    """What a value of several parts is written as by its name alone: a list, a line for each."""

    __slots__ = ()

    def __new__(cls, parts: Iterable[object]) -> Self:
        """Take each part as one line, whatever breaks stand in it."""
        return super().__new__(cls, (" ".join(str(part).split()) for part in parts))

    def __str__(self) -> str:
        return "\n".join(f"- {part}" for part in self)

    def __html__(self) -> str:
        items = Markup("").join(Markup("<li>{}</li>").format(part) for part in self)
        return Markup("<ul>{}</ul>").format(items)


def printable(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as a template gets them: those of several parts as ``Lines``."""
    return {
        name: Lines(value) if isinstance(value, list | tuple) else value
        for name, value in context.items()
    }


def _split(text: str) -> tuple[str, str]:
    """Return the subject and the text below it."""
    head, _, body = text.partition("\n")
    return head.removeprefix(SUBJECT).strip(), body.lstrip("\n")


def template_keys() -> list[str]:
    """Return the names of all templates that exist."""
    names = _environment().list_templates(extensions=["txt"])
    return sorted({name.split(".")[0] for name in names})


def source_of(key: str, locale: str) -> tuple[str, str]:
    """Return subject and text of our own template as they are written, for people to start from.

    Raises ``UnknownTemplate``.
    """
    text_template, _ = _templates(key, _language(locale))
    return _split(_loader().get_source(_environment(), text_template.name or "")[0])


def in_layout(subject: str, body: str, locale: str, footer: str) -> str:
    """Return an HTML body inside the frame that all mails share."""
    template = _environment().get_template("own.html")
    language = _language(locale)
    return template.render(subject=subject, body=body, footer=footer, language=language)


def formats_of(locale: str) -> _Formats:
    """Return what a template may call to write amounts and days as a reader does."""
    return _Formats(_babel_locale(locale))


class WrongValue(Meet2BeError):
    """A template has something written that is of another kind; ``value`` is what it gave."""

    def __init__(self, value: object, sentence: str) -> None:
        self.value = value
        self.problem = Message(sentence, {"value": str(value)[:100]})
        super().__init__(self.problem)


class _Formats:
    """What a template may call to write amounts and days as its reader does."""

    def __init__(self, locale: str) -> None:
        self.locale = locale

    def money(self, minor: int, currency: str) -> str:
        if not isinstance(minor, int):
            raise WrongValue(
                minor,
                N_(
                    "'%(value)s' is no amount: format.money takes one of the "
                    "mail's own amounts and its currency"
                ),
            )
        return _money(minor, currency, self.locale)

    def day(self, moment: date) -> str:
        if not isinstance(moment, date):
            raise WrongValue(
                moment,
                N_(
                    "'%(value)s' is no day: format.day takes one of the mail's "
                    "own days, by its name and without quotation marks"
                ),
            )
        return _day(moment, self.locale)


# Few amounts and days make up a whole conference, and babel takes its time.
@lru_cache(maxsize=4096)
def _money(minor: int, currency: str, locale: str) -> str:
    return money.format_minor(minor, currency, locale)


@lru_cache(maxsize=256)
def _day(moment: date, locale: str) -> str:
    return format_date(moment, format="long", locale=locale)


@lru_cache(maxsize=1)
def _loader() -> PackageLoader:
    return PackageLoader("meet2be.mailings", "templates")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=_loader(),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,  # they come with the program: nobody looks for newer ones at each mail
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
