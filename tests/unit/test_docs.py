"""The documents name files and commands that exist, and link to pages that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
_FILE = re.compile(r"`((?:platform|jobs|workers|infra|migrations|tests|docs)/[\w./-]+\.\w+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_page_that_is_there(page: Path) -> None:
    targets = [link for link in _LINK.findall(page.read_text("utf-8")) if "://" not in link]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_a_page_names_exists(page: Path) -> None:
    named = _FILE.findall(page.read_text("utf-8"))
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_way_of_a_payload_names_the_files_of_all_its_stations() -> None:
    text = (ROOT / "docs" / "the-way-of-a-payload.md").read_text("utf-8")
    stations = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    assert len(stations) == 14
    assert all(_FILE.search(station) for station in stations)


def test_every_page_is_reached_from_the_first_one() -> None:
    reached, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        for link in _LINK.findall(page.read_text("utf-8")):
            target = (page.parent / link).resolve()
            pages = sorted(target.glob("*.md")) if target.is_dir() else [target]
            ahead += [one for one in pages if one.suffix == ".md" and one not in {*reached, *ahead}]
    assert sorted({*ROOT.glob("docs/**/*.md")} - reached) == []
