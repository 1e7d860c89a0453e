"""An organisation's own text of a mail: checked when it is saved, filled in when it is sent.

People who are not us write these, so they get a small part of Jinja, inside its sandbox: values by
name, conditions, a few filters, ``format.money`` and ``format.day``. No loops, no calls, no
attributes: nothing that runs for long or reaches anything but the values of its kind of mail. A
value of several parts writes itself as a list, so that nobody needs a loop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from meet2be.language import Message
from meet2be.mailings.errors import BadTemplate
from meet2be.mailings.rendering import Rendered, WrongValue, formats_of, in_layout, printable

LONGEST_SUBJECT: Final = 400
LONGEST_TEXT: Final = 65_536
_LONGEST_RESULT: Final = 262_144
_DEEPEST: Final = 50
"""Levels of nodes in a text: a few hundred take jinja seconds, a thousand Python refuses."""
_FILTERS: Final = frozenset({"upper", "lower", "title", "trim", "default", "e", "escape"})
_FORMATS: Final = frozenset({"money", "day"})
_HARMLESS: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test,
    nodes.Concat, nodes.Filter, nodes.Call, nodes.Getattr,
)  # fmt: skip
_LINK: Final = re.compile(r"https?://[^\s<>\"']+")
_GAPS: Final = re.compile(r"\n{2,}")
_BANNED_TAGS: Final = frozenset(
    {"script", "iframe", "object", "embed", "form", "input", "button", "base", "meta", "link"}
)


@dataclass(frozen=True, slots=True)
class OwnText:
    """The three parts of an own text as they were written; without ``html`` the text makes it."""

    subject: str
    text: str
    html: str | None = None


class MissingValue(BadTemplate):
    """A text asks for a value that this kind of mail lacks, or that is empty; ``name`` tells it."""

    def __init__(self, part: str, name: str) -> None:
        self.name = name
        super().__init__(part, Message("'%(name)s' has no value in this mail", {"name": name}))


def check(own: OwnText, samples: Mapping[str, Any], locale: str) -> Rendered:
    """Return the text filled in with samples; raises ``BadTemplate`` with the first problem."""
    if not own.subject.strip() or not own.text.strip():
        part = "subject" if not own.subject.strip() else "text"
        raise BadTemplate(part, Message("it is empty"))
    if "\n" in own.subject or "\r" in own.subject:
        raise BadTemplate("subject", Message("it has more than one line"))
    for part, source, most in _parts(own, LONGEST_SUBJECT):
        if len(source) > most:
            problem = Message("it has more than %(number)s characters", {"number": most})
            raise BadTemplate(part, problem)
        _check_nodes(part, source, samples)
    return fill_in(own, samples, locale)


def fill_in(own: OwnText, values: Mapping[str, Any], locale: str) -> Rendered:
    """Return the text with its values; raises ``MissingValue`` and ``BadTemplate``."""
    given = {**printable(values), "format": formats_of(locale)}
    subject = " ".join(_filled("subject", own.subject, given).split())
    text = _filled("text", own.text, given)
    footer = given.get("tenant_name", "")
    if own.html is None:
        return Rendered(subject, text, in_layout(subject, html_of(text), locale, footer))
    body = Markup(_filled("html", own.html, given))  # noqa: S704 -- autoescaped
    html = in_layout(subject, body, locale, footer)
    check_html(html)  # a value may have become a link
    return Rendered(subject, text, html)


def html_of(text: str) -> Markup:
    """Return a plain text as HTML: paragraphs, line breaks, and links that are http or https."""
    paragraphs = (part for part in _GAPS.split(text.strip().replace("\r\n", "\n")) if part.strip())
    return Markup("\n").join(
        Markup("<p>{}</p>").format(Markup("<br>\n").join(map(_linked, part.split("\n"))))
        for part in paragraphs
    )


def check_html(html: str) -> None:
    """Raise ``BadTemplate`` for what mail programs block or a reader must be kept from."""
    reader = _HtmlCheck()
    try:
        reader.feed(html)
        reader.close()
    except AssertionError as error:  # how the reader says that it is no HTML, as of "<![x"
        raise _broken("html", error) from error


def names_in(own: OwnText) -> set[str]:
    """Return the values a text asks for."""
    found: set[str] = set()
    for part, source, _most in _parts(own, LONGEST_SUBJECT):
        found |= {
            node.name
            for node in _nodes_of(part, source)
            if isinstance(node, nodes.Name) and node.ctx == "load"
        }
    return found - {"format"}


class _HtmlCheck(HTMLParser):
    """Looks at each tag of a finished HTML part."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BANNED_TAGS and not _is_ours(tag, attrs):
            raise BadTemplate("html", Message("<%(tag)s> is not allowed in a mail", {"tag": tag}))
        for name, value in attrs:
            if name.startswith("on"):
                problem = Message("'%(name)s' is not allowed in a mail", {"name": name})
                raise BadTemplate("html", problem)
            if name in {"href", "src", "action", "background"} and not _is_web_link(value or ""):
                problem = Message(
                    "the link '%(link)s' is neither http nor https", {"link": (value or "")[:100]}
                )
                raise BadTemplate("html", problem)


def _is_ours(tag: str, attrs: list[tuple[str, str | None]]) -> bool:
    """Tell whether a tag is one of the layout that all mails stand in."""
    return tag == "meta" and dict(attrs).get("http-equiv") is None


def _is_web_link(link: str) -> bool:
    try:
        return urlsplit(link.strip()).scheme.lower() in {"http", "https"}
    except ValueError:
        return False


def _linked(line: str) -> Markup:
    out, end = Markup(), 0
    for found in _LINK.finditer(line):
        link = found[0].rstrip(".,;:!?)")
        out += escape(line[end : found.start()]) + Markup('<a href="{0}">{0}</a>').format(link)
        end = found.start() + len(link)
    return out + escape(line[end:])


def _parts(own: OwnText, longest_subject: int) -> Iterator[tuple[str, str, int]]:
    yield "subject", own.subject, longest_subject
    yield "text", own.text, LONGEST_TEXT
    if own.html is not None:
        yield "html", own.html, LONGEST_TEXT


@lru_cache(maxsize=2)
def _environment(*, is_html: bool) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        autoescape=is_html,
        undefined=StrictUndefined,
        finalize=_as_written,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


class _Empty(Exception):
    """A value is None."""


@pass_context
def _as_written(context: Context, value: Any) -> Any:
    """Return what is written of a value: of a moment its day, as ``format.day`` writes it."""
    if value is None:
        raise _Empty
    return context["format"].day(value) if isinstance(value, date) else value


@lru_cache(maxsize=512)
def _compiled(part: str, source: str) -> Any:
    try:
        return _environment(is_html=part == "html").from_string(source)
    except TemplateSyntaxError as error:
        raise _syntax(part, error) from error
    except Exception as error:
        raise _broken(part, error) from error


def _filled(part: str, source: str, values: Mapping[str, Any]) -> str:
    try:
        text: str = _compiled(part, source).render(values)
    except UndefinedError as error:
        raise MissingValue(part, _name_in(str(error))) from error
    except _Empty:
        raise MissingValue(part, _first_empty(part, source, values)) from None
    except WrongValue as error:
        if error.value is None:
            raise MissingValue(part, _first_empty(part, source, values)) from None
        raise BadTemplate(part, error.problem) from error
    except BadTemplate:
        raise
    except Exception as error:  # whatever a text does, the mails beside it are to be made
        raise _broken(part, error) from error
    if len(text) > _LONGEST_RESULT:
        raise BadTemplate(part, Message("it becomes too long"))
    return text


def _name_in(sentence: str) -> str:
    found = re.search(r"'([^']+)'", sentence)
    return found[1] if found else sentence


def _first_empty(part: str, source: str, values: Mapping[str, Any]) -> str:
    for node in _nodes_of(part, source):
        if isinstance(node, nodes.Name) and values.get(node.name, "") is None:
            return node.name
    return "?"


def _parsed(part: str, source: str) -> nodes.Template:
    try:
        return _environment(is_html=part == "html").parse(source)
    except TemplateSyntaxError as error:
        raise _syntax(part, error) from error
    except Exception as error:
        raise _broken(part, error) from error


def _nodes_of(part: str, source: str) -> list[nodes.Node]:
    """Return all nodes, level by level; jinja's own walk goes as deep as the text is nested."""
    found: list[nodes.Node] = []
    level: list[nodes.Node] = [_parsed(part, source)]
    for _ in range(_DEEPEST):
        found += level
        level = [child for node in level for child in node.iter_child_nodes()]
    if level:
        raise BadTemplate(part, Message("it is nested too deeply"))
    return found


def _broken(part: str, error: Exception) -> BadTemplate:
    """Return what is said of a text that Python itself stumbles over, by depth or by value."""
    what = str(error)[:200]
    problem = Message("%(what)s", {"what": what}) if what else Message("it cannot be filled in")
    return BadTemplate(part, problem)


def _syntax(part: str, error: TemplateSyntaxError) -> BadTemplate:
    problem = Message(
        "line %(line)s: %(what)s", {"line": error.lineno, "what": (error.message or "")[:200]}
    )
    return BadTemplate(part, problem)


def _check_nodes(part: str, source: str, samples: Mapping[str, Any]) -> None:
    known = {*samples, "format"}
    for node in _nodes_of(part, source):
        what = _forbidden(node)
        if what:
            problem = Message(
                "line %(line)s: '%(what)s' is not allowed in a text",
                {"line": node.lineno, "what": what},
            )
            raise BadTemplate(part, problem)
        if isinstance(node, nodes.Name) and node.name not in known:
            problem = Message(
                "'%(name)s' is not known here. You can use: %(known)s",
                {"name": node.name, "known": ", ".join(sorted(samples))},
            )
            raise BadTemplate(part, problem)


def _forbidden(node: nodes.Node) -> str | None:
    """Return what of a node is not allowed, None when it is harmless."""
    if not isinstance(node, _HARMLESS):
        return type(node).__name__.lower()
    if isinstance(node, nodes.Filter):
        return None if node.name in _FILTERS else f"|{node.name}"
    if isinstance(node, nodes.Getattr):
        return None if _is_format(node) else f".{node.attr}"
    if isinstance(node, nodes.Call):
        is_known = isinstance(node.node, nodes.Getattr) and _is_format(node.node)
        return None if is_known and not node.kwargs else "(…)"
    return None


def _is_format(node: nodes.Getattr) -> bool:
    of = node.node
    return isinstance(of, nodes.Name) and of.name == "format" and node.attr in _FORMATS
