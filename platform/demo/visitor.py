"""A person at the web pages, as far as the demo needs one: reads forms, fills them in, follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

TIMEOUT = 60


class UnexpectedPageError(RuntimeError):
    """A page was not what a person would have expected there."""


class Visitor:
    """One browser: keeps cookies, and the page it is on."""

    def __init__(self, base_url: str) -> None:
        """Begin at ``base_url``, logged out."""
        self.base_url = base_url
        self.page = ""
        self.url = base_url
        self._http = requests.Session()

    def get(self, path: str) -> str:
        """Go to a page and return its text; raises ``UnexpectedPageError`` when it is an error."""
        return self._arrive(self._http.get(urljoin(self.url, path), timeout=TIMEOUT))

    def submit(
        self,
        action: str,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        ticked: Mapping[str, Sequence[str]] | None = None,
        **values: str,
    ) -> str:
        """Send the form to ``action`` as it stands, with ``values``; return the next page.

        ``ticked`` are the boxes of a name that are ticked, in place of those that were.
        """
        form, boxes = self._form(action), ticked or {}
        given = values.keys() | boxes.keys()
        fields = [(name, value) for name, value in form.fields if name not in given]
        fields += values.items()
        fields += [(name, value) for name, chosen in boxes.items() for value in chosen]
        target = urljoin(self.url, form.action)
        headers = {"Referer": self.url}
        return self._arrive(
            self._http.post(target, data=fields, files=files, timeout=TIMEOUT, headers=headers)
        )

    def fetch(self, path: str) -> bytes:
        """Return a file; stays on the page it is on."""
        answer = self._http.get(urljoin(self.url, path), timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.content

    def status(self, path: str) -> int:
        """Return what a page answers with; stays on the page it is on."""
        return self._http.get(urljoin(self.url, path), timeout=TIMEOUT).status_code

    def link(self, end: str) -> str:
        """Return the address of the first link on the page that ends with ``end``."""
        reader = _read(self.page)
        for target in reader.links:
            if urlsplit(target).path.endswith(end):
                return target
        message = f"'{self.url}' has no link to '…{end}', only {reader.links}"
        raise UnexpectedPageError(message)

    def link_with(self, part: str) -> str:
        """Return the address of the first link on the page with ``part`` in its path."""
        reader = _read(self.page)
        for target in reader.links:
            if part in urlsplit(target).path:
                return target
        message = f"'{self.url}' has no link with '{part}', only {reader.links}"
        raise UnexpectedPageError(message)

    def json(self, path: str) -> dict[str, Any]:
        """Return a page's JSON; stays on the page it is on."""
        answer = self._http.get(urljoin(self.url, path), timeout=TIMEOUT)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def _form(self, action: str) -> _Form:
        forms = _read(self.page).forms
        for form in forms:
            is_it = urlsplit(form.action).path.endswith(action) if action else not form.action
            if is_it:
                return form
        known = [form.action for form in forms]
        message = f"'{self.url}' has no form to '…{action}', only {known}"
        raise UnexpectedPageError(message)

    def _arrive(self, answer: requests.Response) -> str:
        if not answer.ok:
            message = f"'{answer.url}' answered {answer.status_code}: {_text(answer.text)[:500]}"
            raise UnexpectedPageError(message)
        self.url, self.page = answer.url, answer.text
        return self.page


class _Form:
    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: list[tuple[str, str]] = []


class _Reader(HTMLParser):
    """Collects a page's links and forms with the values that would be sent as they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[_Form] = []
        self.text: list[str] = []
        self._open: _Form | None = None
        self._choice: tuple[str, str | None] | None = None
        self._area: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take links, forms and their fields."""
        values = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "form":
            self._open = _Form(values.get("action", ""))
            self.forms.append(self._open)
        elif self._open is None:
            return
        elif tag == "input":
            self._take_input(self._open, values)
        elif tag == "select":
            self._choice = (values.get("name", ""), None)
        elif tag == "option" and self._choice is not None:
            name, chosen = self._choice
            if chosen is None or "selected" in values:
                self._choice = (name, values.get("value", ""))
        elif tag == "textarea":
            self._area = (values.get("name", ""), [])

    def handle_endtag(self, tag: str) -> None:
        """Close the form, or a field of it."""
        if tag == "form":
            self._open = None
        elif tag == "select" and self._choice is not None and self._open is not None:
            name, chosen = self._choice
            self._open.fields.append((name, chosen or ""))
            self._choice = None
        elif tag == "textarea" and self._area is not None and self._open is not None:
            name, words = self._area
            self._open.fields.append((name, "".join(words).removeprefix("\n")))
            self._area = None

    def handle_data(self, data: str) -> None:
        """Keep the words of the page, for messages about it."""
        self.text.append(data.strip())
        if self._area is not None:
            self._area[1].append(data)

    @staticmethod
    def _take_input(form: _Form, values: dict[str, str]) -> None:
        kind = values.get("type", "text")
        choosable = kind in {"checkbox", "radio"}
        if not values.get("name") or kind in {"file", "submit", "button", "image", "reset"}:
            return
        if not choosable or "checked" in values:
            form.fields.append((values["name"], values.get("value", "on" if choosable else "")))


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    return reader


def _text(page: str) -> str:
    return " ".join(word for word in _read(page).text if word)
