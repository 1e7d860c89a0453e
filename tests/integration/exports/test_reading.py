"""Rows as the driver of either database has them, turned a column at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from meet2be.attendees.listing import FILTERS
from meet2be.db import Database, snapshot
from meet2be.exports.columns import COLUMNS
from meet2be.exports.reading import count_rows, read_chunks
from onqueue.testing.clock import FakeClock
from support.exporting import exporting


def test_either_database_gives_the_same_values_page_by_page(
    database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    moment = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
    with exporting(database, clock, tmp_path) as desk:
        desk.sell("Bo", status="checked_in", registered_at=moment, notes="Ö")
        desk.sell("Ada", "Ada", currency="JPY", price_minor=5)
        desk.sell("Cy", cancelled_at=moment)
        columns = tuple(key for key in COLUMNS if key not in {"id", "order", "ticket_code"})
        spec = desk.spec(columns=columns, order="name")
        with snapshot(desk.database, desk.tenant.id) as session:
            assert count_rows(session, desk.event.id, spec) == 4
            pages = list(read_chunks(session, desk.event.id, spec, 3))
    found = [row for page in pages for row in zip(*page, strict=True)]
    rows = [dict(zip(columns, row, strict=True)) for row in found]
    assert [row["name"] for row in rows] == ["Ada", "Ada", "Bo", "Cy"]
    assert [str(row["price"]) for row in rows] == ["5", "5", "12.50", "12.50"]
    assert [row["status"] for row in rows] == ["Valid ticket"] * 2 + ["Checked in", "Valid ticket"]
    local = datetime(2026, 3, 29, 1, 59)  # noqa: DTZ001 -- as files have them
    assert (rows[2]["registered"], rows[2]["notes"]) == (local, "Ö")
    assert [row["cancelled"] for row in rows] == [None, None, None, local]


def test_whoever_the_filters_leave_is_counted_and_read(
    database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    with exporting(database, clock, tmp_path) as desk:
        desk.sell("Bo", status="checked_in", email="bo@firma.example")
        desk.sell("Cy", refunded_minor=50, email="cy@firma.example")
        desk.sell("Ada")
        found = {}
        with snapshot(desk.database, desk.tenant.id) as session:
            for state in FILTERS:
                for words in ("", "cy ada"):
                    spec = desk.spec(columns=("name",), order="name", state=state, words=words)
                    pages = read_chunks(session, desk.event.id, spec, 3)
                    names = [name for (page,) in pages for name in page]
                    assert count_rows(session, desk.event.id, spec) == len(names)
                    found[state, words] = names
    assert {state: names for (state, words), names in found.items() if names and not words} == {
        "active": ["Ada", "Cy"], "checked_in": ["Bo"], "no_address": ["Ada"], "refunded": ["Cy"],
    }  # fmt: skip
    assert [names for (_, words), names in found.items() if names and words] == []
