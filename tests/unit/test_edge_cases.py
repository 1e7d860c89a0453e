"""The pages of edge cases: each has a test that is there, or a line that says why it has none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "reference").glob("*-edge-cases.md"))
SOURCES = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("platform/onqueue/testing/*_contract.py")]
TEXTS = {file: file.read_text("utf-8") for file in SOURCES}
NAMES = {name for text in TEXTS.values() for name in re.findall(r"def (test_\w+)", text)}
FILES = {file.name for file in SOURCES}

_NUMBERED = re.compile(r"^\| F?(\d+) \| (.*) \|$", re.MULTILINE)
_NAMED = re.compile(r"`(test_\w+?)(…?)`")
_FILE = re.compile(r"`(?:[\w/{},]*/)?(test_\w+\.py)`")
_SHOWN = re.compile(r"test_\w+|tests/\w+|\.py\b|crash tests|the same$|mailings$")
ANY_OF_ITS_NUMBER = "test_NN_"
A_GROUP = list(range(1, 26))
CASES = {
    "cancellation": A_GROUP,
    "export": A_GROUP,
    "import": A_GROUP,
    "mail": [*A_GROUP, 1, 2, 3, 4],
    "order": list(range(5, 26)),
    "webhook": A_GROUP,
}


def cases_of(page: Path) -> list[tuple[int, str]]:
    """Return the numbers of the cases and the rest of their rows."""
    return [(int(number), rest) for number, rest in _NUMBERED.findall(page.read_text("utf-8"))]


def test_the_pages_tell_of_every_case() -> None:
    told = {page.name.partition("-")[0]: [n for n, _ in cases_of(page)] for page in PAGES}
    assert told == CASES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_test_a_page_of_edge_cases_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    missing = [
        name
        for name, is_cut in _NAMED.findall(text)
        if name != ANY_OF_ITS_NUMBER
        and not (any(one.startswith(name) for one in NAMES) if is_cut else name in NAMES)
    ]
    assert missing == []
    assert [name for name in _FILE.findall(text) if name not in FILES] == []


@pytest.mark.parametrize("page", [one for one in PAGES if "webhook" not in one.name], ids=str)
def test_each_case_has_a_test_or_a_reason_why_not(page: Path) -> None:
    bare = [
        (number, rest)
        for number, rest in cases_of(page)
        if not _SHOWN.search(rest) and not rest.endswith("| –")
    ]
    assert bare == []


def test_each_case_of_webhooks_stands_in_a_tests_remarks() -> None:
    remarks = {
        int(number)
        for text in TEXTS.values()
        for remark in re.findall(r'"""[^"]*\bW\d[^"]*"""', text)
        for number in re.findall(r"\bW(\d+)\b", remark)
    }
    assert set(A_GROUP) - remarks == set()
