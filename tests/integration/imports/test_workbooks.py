"""The edge cases of workbooks, numbered as in docs/reference/import-edge-cases.md."""

import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest

from meet2be.imports.errors import UnreadableUpload
from meet2be.imports.limits import MOST_ENTRIES
from meet2be.imports.workbook import reader as reading
from meet2be.imports.workbook.reader import WorkbookReader
from support.importing import Importing
from support.uploads import workbook

SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


@pytest.fixture(scope="module")
def reader() -> Iterator[WorkbookReader]:
    """One child for these tests."""
    with WorkbookReader() as made:
        yield made


def repacked(changes: dict[str, bytes | None], more: dict[str, bytes] | None = None) -> bytes:
    """Return the good workbook with some of its parts changed, and more of them."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook())) as good,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in good.namelist():
            data = changes.get(name, good.read(name))
            if data is not None:
                made.writestr(name, data)
        for name, data in (more or {}).items():
            made.writestr(name, data)
    return target.getvalue()


def sheet_of(cells: bytes) -> bytes:
    return b"<worksheet " + NAMESPACE + b"><sheetData>" + cells + b"</sheetData></worksheet>"


def refusal(reader: WorkbookReader, folder: Path, data: bytes) -> str:
    path = folder / "upload.xlsx"
    path.write_bytes(data)
    with pytest.raises(UnreadableUpload) as caught:
        list(reader.rows(str(path), "Sheet"))
    return str(caught.value)


def test_12_a_zip_bomb_is_refused_while_it_is_counted(
    reader: WorkbookReader, tmp_path: Path
) -> None:
    bomb = sheet_of(b'<row r="1">' + b" " * 30_000_000 + b"</row>")
    assert "times its size" in refusal(reader, tmp_path, repacked({SHEET: bomb}))
    many = {f"xl/media/{number}.xml": b"<a/>" for number in range(MOST_ENTRIES)}
    assert "parts inside" in refusal(reader, tmp_path, repacked({}, many))
    nested = {"xl/embeddings/a.bin": b"PK\x03\x04" + b"0" * 100}
    assert "another packed file" in refusal(reader, tmp_path, repacked({}, nested))
    strange = {"../../etc/passwd": b"x"}
    assert "does not belong" in refusal(reader, tmp_path, repacked({}, strange))


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (b'<row r="1"><c r="XFD1048576"><v>1</v></c></row>', "uses row 1,048,576"),
        (b'<row r="1"><c r="ZZZ1"><v>1</v></c></row>', "columns are the most"),
        (b'<row r="1"><c r="SF199999"><v>1</v></c></row>', "cells"),
    ],
)
def test_13_cells_that_claim_the_whole_sheet_are_refused(
    reader: WorkbookReader, tmp_path: Path, cells: bytes, why: str
) -> None:
    assert why in refusal(reader, tmp_path, repacked({SHEET: sheet_of(cells)}))


def test_13_a_reference_that_hides_kills_its_reader_and_nobody_else(
    reader: WorkbookReader, tmp_path: Path
) -> None:
    hidden = sheet_of(b'<row r="1"><c r="&#88;FD1048576"><v>1</v></c></row>')
    path = tmp_path / "upload.xlsx"
    path.write_bytes(repacked({SHEET: hidden}))
    try:
        rows = list(reader.rows(str(path), "Sheet"))
    except UnreadableUpload:
        rows = []
    assert len(rows) <= 1
    path.write_bytes(workbook())
    assert len(list(reader.rows(str(path), "Sheet"))) == 9


def test_14_cells_come_as_a_person_sees_them(reader: WorkbookReader, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Secret"
    sheet.sheet_state = "hidden"
    shown = book.create_sheet("Shown")
    shown.append(["Phone", "When", "Day", "Sum", "Yes", "Long"])
    when = datetime(2026, 3, 1, 10, 30)  # noqa: DTZ001 -- workbooks know no zones
    shown.append([49301234567.0, when, when.replace(hour=0, minute=0), "=1+1", True, "00123"])
    book.active = 1
    path = tmp_path / "upload.xlsx"
    book.save(path)
    sheets = reader.sheets(str(path))
    assert [(each.name, each.is_visible) for each in sheets] == [("Secret", False), ("Shown", True)]
    rows = dict(reader.rows(str(path), "Shown"))
    assert rows[2][:3] == ["49301234567", "2026-03-01T10:30:00", "2026-03-01"]
    assert rows[2][3:] == ["", "yes", "00123"], "a formula that was never computed has no value"


def test_14_both_readers_say_the_same(
    reader: WorkbookReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "upload.xlsx"
    path.write_bytes(workbook())
    fast = list(reader.rows(str(path), "Sheet"))
    monkeypatch.setattr(reading, "ENGINES", ("openpyxl",))
    assert [row[:4] for _, row in reader.rows(str(path), "Sheet")] == [row[:4] for _, row in fast]


def test_14_the_first_sheet_that_is_seen_is_imported(rig: Importing) -> None:
    uid = rig.upload(workbook(), name="list.xlsx")
    assert rig.row(uid).layout["sheet"] == "Sheet"
    rig.map(uid)
    rig.check(uid)
    rig.start(uid)
    assert rig.work(uid, "write") == "done"
    # Row 5 is merged over name and address: its address is empty, and the person is taken.
    assert rig.counts(uid) == {"created": 8}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old Excel"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "password"),
        (b"PK\x03\x04" + b"\0" * 26 + b"mimetypeapplication/vnd.oasis.opendocument.s", "ods"),
        (b"<html><table><tr><td>Ada</td></tr></table></html>", "web page"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Workbook/>", "web page"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\x1f\x8b\x08\x00abc", "compressed"),
        (b"  \r\n ", "empty"),
    ],
)
def test_15_other_files_are_told_apart_by_their_bytes(
    rig: Importing, data: bytes, why: str
) -> None:
    with pytest.raises(UnreadableUpload, match=why):
        rig.upload(data, name="list.xlsx")
    assert list(Path(rig.desk.store._folder).rglob("upload")) == []  # type: ignore[attr-defined]


def test_15_archives_that_are_no_workbooks_are_told_apart(
    reader: WorkbookReader, tmp_path: Path
) -> None:
    def archive(*names: str) -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as made:
            for name in names:
                made.writestr(name, b"x")
        return target.getvalue()

    assert "xlsb" in refusal(reader, tmp_path, archive("xl/workbook.bin"))
    assert "Numbers" in refusal(reader, tmp_path, archive("Index/Document.iwa"))
    assert "no Excel workbook" in refusal(reader, tmp_path, archive("a.txt"))
    assert "OpenDocument" in refusal(reader, tmp_path, archive("content.xml"))


@pytest.mark.parametrize(
    "part",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a/>',
        b'<?xml version="1.0"?><!doctype a SYSTEM "http://169.254.169.254/x"><a/>',
        '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
    ],
)
def test_16_entities_and_other_encodings_in_a_part_are_refused(
    reader: WorkbookReader, tmp_path: Path, part: bytes
) -> None:
    data = repacked({"xl/styles.xml": part})
    assert "damaged" in refusal(reader, tmp_path, data)
