"""Pages of lists in addresses: ``after`` and ``before`` name the row a page lies next to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request, url_for

from meet2be.db.keyset import Page, Slice

Position = Callable[[str], Sequence[Any] | None]
Name = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list with the addresses of the pages next to it."""

    rows: list[Any]
    earlier: str | None
    later: str | None


def wanted_slice(position_of: Position, size: int = 50) -> Slice:
    """Return which part of the list the address asks for.

    A row that is gone, or never was, leads to the list's beginning.
    """
    for word in ("after", "before"):
        name = request.args.get(word, "")
        position = position_of(name) if name else None
        if position is not None:
            return Slice(**{word: position}, size=size)
    return Slice(size=size)


def listing(page: Page, name_of: Name) -> Listing:
    """Return the page with its neighbours; ``name_of`` says a row's name in addresses."""
    if not page.rows:
        return Listing([], None, None)
    first, last = name_of(page.rows[0]), name_of(page.rows[-1])
    return Listing(
        page.rows,
        page_url(before=first, after=None) if page.has_earlier else None,
        page_url(after=last, before=None) if page.has_later else None,
    )


def page_url(**changes: str | None) -> str:
    """Return the address of the present page with some of its parameters changed or left out."""
    given = {**request.args.to_dict(), **(request.view_args or {}), **changes}
    kept = {name: value for name, value in given.items() if value not in {None, ""}}
    return url_for(str(request.endpoint), **kept)


def row_number(text: str) -> tuple[int] | None:
    """Return the position that a row's number names, None for anything else."""
    return (int(text),) if text.isdecimal() and len(text) < 18 else None
