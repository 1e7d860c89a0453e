"""The 25 edge cases of exporting; docs/reference/export-edge-cases.md lists them."""

import errno
import io
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape
from pypdf import PdfReader
from sqlalchemy import select

from meet2be.audit.services import SYSTEM
from meet2be.db import Database
from meet2be.exports import exporters as table
from meet2be.exports import services
from meet2be.exports.columns import COLUMNS
from meet2be.exports.csv_file import CsvFile
from meet2be.exports.errors import ExportNotPossible, NotDownloadable
from meet2be.exports.models import Export
from meet2be.exports.pdf_fonts import missing_scripts
from meet2be.exports.xlsx_file import LONGEST_TEXT, XlsxFile, sheet_name
from meet2be.integrations.storage import StoreFailed
from meet2be.language import Message
from onqueue.testing.clock import FakeClock
from support.exporting import Control, Exporting, exporting
from support.servers import missing

COMMANDS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(A1)", "\t=1", "\r=1", "  =1",
            "\uff1d1", "\uff0b1+cmd", "\uff0dcmd", "\uff20x", "\ufeff=1"]  # fmt: skip
HARMLESS = ["-5", "-5,30", "+49 (0)30 1234-5", "Ada = Eve", "a@b.example", "Jean-Luc", ""]


def lines(content: bytes) -> list[str]:
    return content.decode("utf-8-sig").split("\r\n")


def sheet(content: bytes, place: int = 0) -> list[list[Any]]:
    book = load_workbook(io.BytesIO(content))
    return [[cell.value for cell in row] for row in book.worksheets[place].iter_rows()]


def names(content: bytes) -> list[str]:
    return [unescape(row[0]) for row in sheet(content)[1:]]


def pages(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


def behind_the_keys(desk: Exporting, statement: str) -> None:
    """Do what the database's keys forbid, as another release or a person at its console might."""
    with closing(sqlite3.connect(str(desk.database.engine.url.database))) as connection:
        connection.execute(statement)
        connection.commit()


def test_01_what_looks_like_a_command_is_neutralised_and_numbers_are_unharmed(
    desk: Exporting,
) -> None:
    desk.sell("Ada")
    for text in [*COMMANDS, *HARMLESS]:
        desk.change("Ada", company=text)
        _, content = desk.make(columns=("company",))
        expected = f"'{text}" if text in COMMANDS else text
        cell = content.decode("utf-8-sig").split("\r\n", 1)[1].removesuffix("\r\n")
        assert cell.strip('"') == expected, repr(text)
    desk.change("Ada", company="=1+1")
    assert sheet(desk.make(format="xlsx", columns=("company",))[1])[1] == ["=1+1"]


def test_02_a_formula_as_a_name_is_text_in_a_workbook(desk: Exporting) -> None:
    desk.sell('=HYPERLINK("http://evil.example","Ada")')
    _, content = desk.make(format="xlsx")
    cell = load_workbook(io.BytesIO(content)).worksheets[0]["A2"]
    assert cell.data_type in {"s", "inlineStr"}
    assert cell.value == '=HYPERLINK("http://evil.example","Ada")'


def test_03_control_characters_are_replaced(desk: Exporting) -> None:
    desk.sell("Bell\x07 and\x00 Tab\tLine\nEnd")
    assert names(desk.make(format="xlsx")[1]) == ["Bell\ufffd and\ufffd Tab\tLine\nEnd"]
    assert "Bell\ufffd and\ufffd Tab" in desk.make()[1].decode()


def test_04_what_is_no_character_is_replaced(desk: Exporting) -> None:
    desk.sell("A\ufffe B\uffff C")
    assert names(desk.make(format="xlsx")[1]) == ["A\ufffd B\ufffd C"]


def test_05_text_that_excel_would_decode_stays_as_it_is(desk: Exporting) -> None:
    desk.sell("_x0041_")
    content = desk.make(format="xlsx")[1]
    assert sheet(content)[1] == ["_x005F_x0041_"], "escaped in the file"
    assert names(content) == ["_x0041_"]


def test_06_long_texts_are_cut_as_excel_counts_and_a_note_says_so(desk: Exporting) -> None:
    desk.sell("Emoji", notes="😀" * 20_000)
    desk.sell("Letters", notes="a" * LONGEST_TEXT)
    _, content = desk.make(format="xlsx", columns=("name", "notes"))
    by_name = {row[0]: row[1] for row in sheet(content)[1:]}
    assert by_name["Letters"] == "a" * LONGEST_TEXT
    assert by_name["Emoji"] == "😀" * 16_383 + "…"
    assert len(by_name["Emoji"].encode("utf-16-le")) // 2 <= LONGEST_TEXT
    assert "Row 2, Notes: cut to Excel's 32,767 characters." in str(sheet(content, 1))


def test_07_rows_beyond_a_sheet_go_onto_the_next(
    desk: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sell(*(f"Person {number}" for number in range(5)))
    small = {**table.exporters(), "xlsx": XlsxFile(rows_a_sheet=2, chunk_rows=3)}
    monkeypatch.setattr("meet2be.exports.running.exporters", lambda: small)
    _, content = desk.make(format="xlsx")
    book = load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["Attendees 1", "Attendees 2", "Attendees 3", "About this file"]
    assert [one["A1"].value for one in book.worksheets[:3]] == ["Name"] * 3
    assert [one.max_row for one in book.worksheets[:3]] == [3, 3, 2]


def test_08_too_many_columns_are_refused_and_names_of_sheets_are_cleaned(
    desk: Exporting,
) -> None:
    with pytest.raises(ExportNotPossible, match="PDF takes up to 12 columns"):
        desk.ask(format="pdf", columns=tuple(COLUMNS))
    assert XlsxFile().most_columns == 16_384
    assert sheet_name("a/b[c]:d*e?f\\g" + "x" * 40) == "a b c  d e f g" + "x" * 17
    assert sheet_name("'[]'") == "Sheet"


def test_09_moments_are_in_the_zone_that_the_heading_names(desk: Exporting) -> None:
    desk.sell("Ada", registered_at=datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    assert lines(desk.make(columns=("registered",))[1])[:2] == [
        "Registered (Europe/Berlin)", "2026-07-02 00:30",
    ]  # fmt: skip
    content = desk.make(format="xlsx", columns=("registered",), timezone="America/New_York")[1]
    heading, value = (row[0] for row in sheet(content))
    assert heading == "Registered (America/New_York)"
    assert abs(value - datetime(2026, 7, 1, 18, 30)) < timedelta(seconds=1)  # noqa: DTZ001


def test_10_numbers_that_are_names_stay_text_and_amounts_are_exact(desk: Exporting) -> None:
    desk.sell("Ada", ticket_code="00012345678901234567890", company="+4930123")
    columns = ("ticket_code", "company", "price")
    assert sheet(desk.make(format="xlsx", columns=columns)[1])[1] == [
        "00012345678901234567890", "+4930123", 12.5,
    ]  # fmt: skip
    assert lines(desk.make(columns=columns)[1])[1] == "00012345678901234567890,+4930123,12.50"
    desk.sell("Bo", price_minor=1200)
    desk.sell("Cy", price_minor=12, currency="JPY")
    assert lines(desk.make(columns=("name", "price"))[1])[2:4] == ["Bo,12.00", "Cy,12"]


def test_11_csv_is_as_spreadsheets_of_the_language_like_it_or_raw(desk: Exporting) -> None:
    desk.sell('Ada "the\nfirst"; Müller', company="=1")
    columns = ("name", "company", "price", "status")
    german = desk.make(columns=columns, language="de", delimiter="semicolon")[1]
    assert german.startswith(b"\xef\xbb\xbf")
    assert german.decode("utf-8-sig").endswith(
        '\r\n"Ada ""the\nfirst""; Müller";\'=1;12,50;Gültiges Ticket\r\n'
    )
    raw = desk.make(columns=columns, raw=True, language="de", delimiter="semicolon")[1]
    assert raw.startswith(b"name,company,price,status\r\n"), "no mark, keys as headings"
    assert raw.endswith(b",=1,12.50,active\r\n")
    assert not desk.make(bom=False)[1].startswith(b"\xef\xbb\xbf")


@pytest.fixture(scope="module")
def _fonts() -> None:
    if missing_scripts():
        missing(f"Fonts are missing: {dict(missing_scripts())}.")


@pytest.mark.usefixtures("_fonts")
def test_12_13_15_a_pdf_has_every_script_its_direction_and_fetches_nothing(
    desk: Exporting, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("canary-7781")
    desk.sell("محمد علي", "שלום כהן", "日本語 太郎", "Zoë 😀", "Ada")
    desk.change("Ada", company=f'<link rel=attachment href="file://{secret}"> & <b>')
    desk.change("Zoë 😀", company='<img src="http://169.254.169.254/">')
    export, content = desk.make(format="pdf", columns=("name", "company"))
    assert export.state == "ready"
    text = pages(content)
    for name in ("محمد علي", "שלום כהן", "日本語 太郎", "Zoë 😀", "& <b>", "1 / 1"):
        assert name in text
    assert b"canary-7781" not in content
    assert not dict(PdfReader(io.BytesIO(content)).attachments)


def test_14_too_many_rows_for_a_pdf_are_refused_before_it_begins(
    desk: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "count_rows", lambda *_: 20_001)
    with pytest.raises(
        ExportNotPossible, match=r"up to 20,000 rows, and these are 20,001\. Choose"
    ):
        desk.ask(format="pdf")


@pytest.mark.parametrize("file_format", ["csv", "xlsx", "pdf"])
def test_16_nobody_gives_a_file_with_headings_that_says_so(
    desk: Exporting, file_format: str
) -> None:
    export, content = desk.make(format=file_format)
    assert (export.state, export.total) == ("ready", 0)
    if file_format == "csv":
        assert lines(content) == ["Name", ""]
    elif file_format == "xlsx":
        assert sheet(content) == [["Name"], ["No attendees fit this selection."]]
    else:
        assert "No attendees fit this selection." in pages(content)


@pytest.mark.parametrize("order", ["name", "registered"])
def test_17_what_changes_meanwhile_is_not_in_the_file_and_nobody_twice(
    database: Database, clock: FakeClock, tmp_path: Path, order: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    small = {**table.exporters(), "csv": CsvFile(chunk_rows=2)}
    monkeypatch.setattr("meet2be.exports.running.exporters", lambda: small)
    with exporting(database, clock, tmp_path) as desk:
        desk.sell("Bo", "Al", "Bo", "Cy", "Di")

        def meanwhile() -> None:
            clock.advance(1)
            if len(control.looks) == 2:
                desk.change("Al", name="Zoe")
                desk.change("Di", name="Ann")
                desk.sell("New")

        control = Control(at=meanwhile)
        export = desk.run(desk.ask(order=order).export.uid, control)
        with desk.counter.store.open(export.storage_key) as file:
            found = lines(file.read())[1:-1]
    by_order = {
        "name": ["Al", "Bo", "Bo", "Cy", "Di"],
        "registered": ["Bo", "Al", "Bo", "Cy", "Di"],
    }
    assert found == by_order[order]


def test_18_a_ticket_type_that_is_gone_leaves_its_cell_empty(desk: Exporting) -> None:
    desk.sell("Ada")
    behind_the_keys(desk, "DELETE FROM ticket_types")
    assert lines(desk.make(columns=("name", "ticket"))[1])[1] == "Ada,"


def test_19_whoever_lost_the_right_gets_no_file_and_is_told(desk: Exporting) -> None:
    uid = desk.ask().export.uid
    desk.demote()
    export = desk.run(uid)
    assert (export.state, export.error_code) == ("failed", "not_allowed")
    assert "may not export attendees any more" in desk.notices()[-1].body
    with pytest.raises(ExportNotPossible):
        desk.ask(columns=("email",))


def test_19_a_suspended_organisation_gets_no_file_made_or_fetched(desk: Exporting) -> None:
    uid, ready = desk.ask().export.uid, desk.make(columns=("email",))[0]
    desk.suspend()
    assert desk.run(uid).error_code == "tenant_suspended"
    with (
        desk.database.tenant_session(desk.tenant.id) as session,
        pytest.raises(ExportNotPossible, match="suspended"),
    ):
        services.fetched(session, desk.export(ready.uid), SYSTEM, desk.counter.clock.now())


def test_20_a_file_is_gone_after_its_seven_days(desk: Exporting, clock: FakeClock) -> None:
    """The link itself: tests/integration/web/test_exports.py."""
    ready, _ = desk.make()
    clock.advance(timedelta(days=7).total_seconds())
    with (
        desk.database.tenant_session(desk.tenant.id) as session,
        pytest.raises(NotDownloadable, match="kept for 7 days"),
    ):
        services.fetched(session, ready, SYSTEM, clock.now())


class Failing:
    """A store that fails as told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, key: str, *, content_type: str, filename: str = "") -> Any:
        raise self.error


@pytest.mark.parametrize("is_temporary", [True, False])
def test_23_a_store_that_refuses_is_told_in_words_or_tried_again(
    desk: Exporting, is_temporary: bool
) -> None:
    from dataclasses import replace

    reason = Message("The file store is busy.")
    failing: Any = Failing(StoreFailed(reason, detail="SlowDown", is_temporary=is_temporary))
    desk.counter = replace(desk.counter, store=failing)
    uid = desk.ask().export.uid
    if is_temporary:
        with pytest.raises(StoreFailed):
            desk.run(uid)
        assert desk.export(uid).state == "uploading", "the job comes again"
        return
    assert desk.run(uid).state == "failed"
    assert desk.notices()[-1].body == "The file store is busy."


def test_23_a_full_disk_is_told_in_words_and_no_temporary_file_stays(desk: Exporting) -> None:
    from meet2be.exports.errors import words_for
    from meet2be.exports.running import give_up

    uid = desk.ask().export.uid
    give_up(desk.counter, desk.tenant.id, uid, *words_for(OSError(errno.ENOSPC, "full")))
    assert desk.notices()[-1].body == "The disk on which the file was made is full."
    leftover = desk.counter.folder / "export-dead"
    leftover.mkdir(parents=True)
    (desk.counter.folder / "export-dead.lock").touch()
    desk.make(columns=("email",))
    assert list(desk.counter.folder.iterdir()) == []


def test_24_names_of_files_are_for_people_and_keys_never(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    with exporting(sqlite_database, clock, tmp_path, title='Gäste/"2026"\\..') as desk:
        export, _ = desk.make()
    assert export.filename.startswith("Gäste--2026--..")
    assert export.filename.endswith(".csv")
    assert export.storage_key.isascii()
    assert "2026" not in export.storage_key.split("/")[-1][:0] + export.storage_key.split("/")[0]


def test_25_five_clicks_make_one_export(desk: Exporting) -> None:
    asked = [desk.ask() for _ in range(5)]
    assert {one.export.uid for one in asked} == {asked[0].export.uid}
    assert [one.joined for one in asked] == [False, True, True, True, True]
    desk.run(asked[0].export.uid)
    assert desk.ask().joined is False, "what is done is not joined any more"
    assert len(desk.notices()) == 1


def test_26_erased_people_stand_in_no_file(desk: Exporting, clock: FakeClock) -> None:
    desk.sell("Ada", "Gone")
    desk.change("Gone", anonymised_at=clock.now())
    assert lines(desk.make()[1]) == ["Name", "Ada", ""]


def test_27_what_a_kept_wish_asks_for_and_is_gone_is_left_out(desk: Exporting) -> None:
    desk.sell("Ada")
    uid = desk.ask().export.uid
    with desk.database.tenant_session(desk.tenant.id) as session:
        export = session.scalars(select(Export)).one()
        export.spec = {**export.spec, "columns": ["question_7", "name"], "colour": "red"}
        session.commit()
    assert desk.run(uid).state == "ready"


def test_28_an_export_is_told_once_and_its_progress_ends_with_its_link(
    desk: Exporting, clock: FakeClock
) -> None:
    from meet2be.exports.listing import percent

    desk.sell("Ada")
    uid = desk.ask().export.uid
    seen: list[int] = []

    def looked() -> None:
        clock.advance(1)
        seen.append(percent(desk.export(uid)))

    control = Control(at=looked)
    assert percent(desk.run(uid, control)) == 100
    desk.run(uid)
    assert max(seen) < 100
    assert [notice.kind for notice in desk.notices()] == ["export.ready"]


def test_29_a_cancelled_export_leaves_no_file(desk: Exporting, clock: FakeClock) -> None:
    desk.sell("Ada")
    uid = desk.ask().export.uid

    def cancelled() -> None:
        clock.advance(1)
        with desk.database.tenant_session(desk.tenant.id) as session:
            services.cancel(session, uid, SYSTEM, clock.now())
            session.commit()

    export = desk.run(uid, Control(at=cancelled))
    assert export.state == "cancelled"
    assert desk.counter.store.size(export.storage_key) is None
    assert desk.notices() == []
    assert list(desk.counter.folder.iterdir()) == []


def test_30_a_deleted_event_is_no_crash(desk: Exporting) -> None:
    uid = desk.ask().export.uid
    behind_the_keys(desk, "DELETE FROM events")
    assert desk.run(uid).error_code == "event_gone"
