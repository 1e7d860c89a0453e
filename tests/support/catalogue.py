"""The table of what Laravel's queue does and what `onqueue` does instead, with the test of each.

A test says in its docstring which behaviours it shows: `K37` for one that is kept, `C33` for one
that is changed, `B3` for a row of the lead over other queues. `make catalogue` writes the pages
from these marks; tests/unit/test_catalogue.py holds the pages against them.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from support.catalogue_rows import LEAD, ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "laravel-catalogue.md"
LEAD_PAGE = ROOT / "docs" / "reference" / "beyond-laravel.md"
PLACES = ("tests", "platform/onqueue/testing")

_MARK = re.compile(r"\b([KCB])(\d{1,2})\b")
_NAME = re.compile(r"`(test_\w+)`")

_HEAD = """# Laravel's queue, behaviour by behaviour

What a reader who knows Laravel's queue may rely on here, and where `onqueue` differs on purpose.
*kept* is the same behaviour, *changed* another one for the reason given; some rows are both. Each
row names tests that show it (`pytest -k NAME`). The page is made by `make catalogue` from marks in
the tests; a test holds that each test it names is there and bears the mark.

| # | Laravel | here | shown by |
|---|---|---|---|
"""

_LEAD_HEAD = """# What no Laravel queue does

Each row with the tests that show it from outside (`pytest -k NAME`). Rows that belong to the
operator's pages come with these. The page is made by `make catalogue`.

| # | what | shown by |
|---|---|---|
"""


@dataclass(slots=True)
class Marks:
    """The tests that bear a mark, by number."""

    catalogue: dict[int, list[str]] = field(default_factory=dict)
    lead: dict[int, list[str]] = field(default_factory=dict)

    def add(self, kind: str, number: int, test: str) -> None:
        """Note a test under a mark."""
        of = self.lead if kind == "B" else self.catalogue
        of.setdefault(number, []).append(test)

    def named_on(self, written: str) -> Marks:
        """Return the marks of those tests alone that a page names."""
        names = set(_NAME.findall(written))
        return Marks(*(_of_those(of, names) for of in (self.catalogue, self.lead)))


def _of_those(of: Mapping[int, Sequence[str]], names: AbstractSet[str]) -> dict[int, list[str]]:
    return {
        number: found
        for number, tests in of.items()
        if (found := [test for test in tests if test in names])
    }


def marks() -> Marks:
    """Return the marks of all tests, read from their docstrings."""
    found = Marks()
    for test, docstring in _tests():
        for kind, number in sorted(set(_MARK.findall(docstring))):
            found.add(kind, int(number), test)
    return found


def page(found: Marks) -> str:
    """Return the table of the catalogue."""
    lines = [
        f"| {row.number} | {row.laravel} | {row.verdict}: {row.here} | "
        f"{_names(found.catalogue, row.number)} |"
        for row in ROWS
    ]
    return _HEAD + "\n".join(lines) + "\n"


def lead_page(found: Marks) -> str:
    """Return the table of the lead."""
    lines = [f"| {number} | {what} | {_names(found.lead, number)} |" for number, what in LEAD]
    return _LEAD_HEAD + "\n".join(lines) + "\n"


def missing(found: Marks) -> list[int]:
    """Return the numbers of the catalogue that no test shows."""
    return [row.number for row in ROWS if row.number not in found.catalogue]


def _names(found: Mapping[int, Sequence[str]], number: int) -> str:
    return ", ".join(f"`{name}`" for name in sorted(set(found.get(number, ()))))


def _tests() -> Iterator[tuple[str, str]]:
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
                    node.name.startswith("test_")
                ):
                    yield node.name, ast.get_docstring(node) or ""


def write() -> list[int]:
    """Write both pages; return the numbers that no test shows."""
    found = marks()
    PAGE.write_text(page(found), encoding="utf-8")
    LEAD_PAGE.write_text(lead_page(found), encoding="utf-8")
    return missing(found)
