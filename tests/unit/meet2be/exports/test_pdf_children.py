"""Children that lay out pages: one that dies leaves its place to another."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from meet2be.exports import pdf_children
from meet2be.exports.pdf_children import Children, LayOutFailed


class Short:
    """A child that does as its page says."""

    born = 0

    def __init__(self) -> None:
        Short.born += 1
        if Short.born == 2:
            raise OSError("there are no processes left")
        self.used, self.is_ready, self.ended = 0, True, False

    def lay_out(self, source: Path, seconds: float | None) -> Path:
        self.used += 1
        if source.name == "kills.html":
            self.is_ready = False
            raise LayOutFailed("its child ended with -9")
        return source

    def end(self) -> None:
        self.ended = True


def test_a_child_that_dies_or_is_not_born_leaves_its_place_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child: Any = Short
    Short.born = 0
    monkeypatch.setattr(pdf_children, "_Child", child)
    with Children(1) as children:
        with pytest.raises(LayOutFailed, match="-9"):
            children.lay_out(Path("kills.html"))
        with pytest.raises(OSError, match="no processes"):
            children.lay_out(Path("a.html"))
        for _ in range(pdf_children.PAGES_A_CHILD + 1):
            assert children.lay_out(Path("b.html")) == Path("b.html")
    assert Short.born == 4, "one that has done its share makes room as well"


OF_WEASYPRINT = """
import json, os, pathlib, sys
for line in sys.stdin:
    pathlib.Path(json.loads(line)[1]).write_text(str(os.getpid()))
    print(json.dumps(""), flush=True)
"""


def page(folder: Path, name: str) -> Path:
    made = folder / f"{name}.html"
    made.touch()
    return made


def test_a_page_that_hangs_is_given_up_and_its_child_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hanging = "import os, pathlib, signal, sys; sys.stdin.readline();"
    note = f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()));"
    command = (sys.executable, "-S", "-c", f"{hanging} {note} signal.pause()")
    with Children(1, seconds=0.5) as children:
        monkeypatch.setattr(pdf_children, "_COMMAND", command)
        with pytest.raises(LayOutFailed, match=r"no answer for 0\.5 seconds"):
            children.lay_out(page(tmp_path, "a"))
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)
        monkeypatch.setattr(pdf_children, "_COMMAND", (sys.executable, "-S", "-c", OF_WEASYPRINT))
        assert children.lay_out(page(tmp_path, "b")).exists(), "its place is another's"


def test_a_child_that_was_killed_while_it_had_nothing_to_do_costs_no_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pdf_children, "_COMMAND", (sys.executable, "-S", "-c", OF_WEASYPRINT))
    with Children(1) as children:
        first = int(children.lay_out(page(tmp_path, "a")).read_text())
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert int(children.lay_out(page(tmp_path, "b")).read_text()) != first
