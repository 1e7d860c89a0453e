"""Children that lay out pages: one that dies leaves its place to another."""

from __future__ import annotations

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
        self.used, self.is_alive, self.ended = 0, True, False

    def lay_out(self, source: Path) -> Path:
        self.used += 1
        if source.name == "kills.html":
            self.is_alive = False
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
