"""Pages of the documentation as tests take them: their blocks of code, and their commands."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to"
REFERENCE = ROOT / "docs" / "reference"
ONQUEUE = ROOT / "docs" / "onqueue"


def blocks(page: Path, language: str) -> list[str]:
    """Return the texts of a page's fenced blocks in a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


def commands(page: Path) -> list[list[str]]:
    """Return the words of each command a page shows, in a block or in a sentence."""
    text = page.read_text("utf-8")
    whole = [block.replace("\\\n", " ") for block in blocks(page, "sh")]
    lines = [line for block in whole for line in block.splitlines()]
    lines += re.findall(r"`((?:meet2be|make|onqueue) [^`\n…]+)`", text)
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def module_of(page: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return an empty module that a page's blocks are run in, known to imports for one test."""
    module = ModuleType("page_" + page.stem.replace("-", "_"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def run(block: str, module: ModuleType) -> None:
    """Run a block of a page in its module."""
    exec(block, vars(module))  # noqa: S102 - our own page


def table(text: str) -> list[list[str]]:
    """Return the rows of the first table of a text, without its head."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]
