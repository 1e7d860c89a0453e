"""An export of somebody who loses the right to it while its file is made."""

from dataclasses import replace
from pathlib import Path

import pytest

from meet2be.db import Database
from meet2be.exports import exporters as table
from meet2be.exports.pdf_children import Children
from meet2be.exports.pdf_file import PdfFile
from meet2be.integrations.storage_local import LocalStore
from onqueue.testing.clock import FakeClock
from support.exporting import Control, Exporting, exporting


def a_look(desk: Exporting, clock: FakeClock, number: int) -> Control:
    """Return a job during whose look of that number the person is removed."""
    control = Control()

    def at() -> None:
        if len(control.looks) == number:
            desk.remove()
        clock.advance(1)

    control.at = at
    return control


def test_a_pdf_ends_at_the_next_chunk_and_nobody_else_is_told(
    desk: Exporting, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks: list[Path] = []

    def lay_out(_children: Children, source: Path) -> Path:
        chunks.append(source)
        return source

    monkeypatch.setattr(Children, "lay_out", lay_out)
    small = {**table.exporters(), "pdf": replace(PdfFile(), chunk_rows=1)}
    monkeypatch.setattr("meet2be.exports.running.exporters", lambda: small)
    desk.sell(*(f"Person {number}" for number in range(9)))
    export = desk.run(desk.ask(format="pdf").export.uid, a_look(desk, clock, 2))
    assert (export.state, export.error_code, export.done) == ("failed", "not_allowed", 1)
    assert len(chunks) == 1, "not one more was laid out"
    assert desk.notices() == []


def test_a_file_on_its_way_into_the_store_does_not_come_to_be(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "files")
    with exporting(sqlite_database, clock, tmp_path, store) as desk:
        desk.sell("Ada")
        # One look at the rows, one before the store, and one at the file on its way into it.
        control = a_look(desk, clock, 3)
        export = desk.run(desk.ask().export.uid, control)
        assert len(control.looks) == 3
        assert (export.state, export.error_code) == ("failed", "not_allowed")
        assert store.size(export.storage_key) is None, "nothing is left of it"
