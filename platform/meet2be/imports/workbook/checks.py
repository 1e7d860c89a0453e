"""Whether a workbook is safe to open: its zip walked and counted, its XML looked at in passing.

Headers of a zip lie, so everything is counted while it is unpacked. The fast reader makes room for
the whole area that the cells span, so their references are looked at before it sees the file.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from typing import Final

from meet2be.imports.errors import UnreadableUpload
from meet2be.imports.limits import (
    HIGHEST_RATIO,
    LARGEST_AREA,
    LARGEST_UNPACKED,
    MOST_CELLS,
    MOST_COLUMNS,
    MOST_ENTRIES,
    MOST_WORKBOOK_ROWS,
    RATIO_FROM,
)
from meet2be.language import Message

_PIECE: Final = 1 << 16
_OVERLAP: Final = 256
_EXPECTED: Final = re.compile(
    r"(?:\[Content_Types\]\.xml"
    r"|(?:_rels|docProps|docMetadata|xl|customXml|customUI|package)/[^\\:]{1,200})\Z"
)
_ARCHIVES: Final = re.compile(
    r"\.(?:zip|gz|tgz|bz2|xz|7z|rar|tar|jar|xlsx|xlsm|xlsb|docx|pptx|ods)\Z", re.IGNORECASE
)
_SHEET: Final = re.compile(r"xl/(?:worksheets|dialogsheets|macrosheets)/[^/]+\.xml\Z")
_DTD: Final = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ENCODING: Final = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([^\"']+)[\"']", re.IGNORECASE)
_CELL: Final = re.compile(
    rb"<(?:[A-Za-z0-9]+:)?c[\s/>](?:[^>]*?\br\s*=\s*[\"']([A-Za-z]{1,4})([0-9]{1,9}))?"
)
_ROW: Final = re.compile(rb"<(?:[A-Za-z0-9]+:)?row\s[^>]*?\br\s*=\s*[\"']([0-9]{1,9})")
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED: Final = 0x1
_PACKED: Final = (b"PK\x03\x04", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf")


@dataclass(slots=True)
class Bounds:
    """How far the cells of all sheets reach."""

    cells: int = 0
    row: int = 0
    column: int = 0
    _tail: bytes = field(default=b"", repr=False)

    def see(self, piece: bytes) -> None:
        """Take in the next piece of a sheet; raises UnreadableUpload beyond the limits."""
        text = self._tail + piece
        end = text.rfind(b">") + 1
        self._tail = text[end:][-_PIECE:]
        whole = text[:end]
        for letters, digits in _CELL.findall(whole):
            self.cells += 1
            if digits:
                self.row = max(self.row, int(digits))
                self.column = max(self.column, _column(letters))
        for digits in _ROW.findall(whole):
            self.row = max(self.row, int(digits))
        self.check()

    def begin(self) -> None:
        """Begin with another sheet."""
        self.row = self.column = 0
        self._tail = b""

    def check(self) -> None:
        """Raise UnreadableUpload when there is more than can be taken."""
        if self.row > MOST_WORKBOOK_ROWS:
            raise UnreadableUpload(
                Message(
                    "The workbook uses row %(row)s; %(most)s rows are the most. Save a longer list"
                    " as 'CSV UTF-8'.",
                    {"row": f"{self.row:,}", "most": f"{MOST_WORKBOOK_ROWS:,}"},
                )
            )
        if self.column > MOST_COLUMNS:
            raise UnreadableUpload(
                Message(
                    "The workbook uses column %(column)s; %(most)s columns are the most. Delete the"
                    " columns that are not needed.",
                    {"column": f"{self.column:,}", "most": f"{MOST_COLUMNS:,}"},
                )
            )
        if self.cells > MOST_CELLS or self.row * self.column > LARGEST_AREA:
            raise UnreadableUpload(
                Message(
                    "The workbook has more than %(most)s cells. Save the list as 'CSV UTF-8'.",
                    {"most": f"{MOST_CELLS:,}"},
                )
            )


def check_workbook(path: str) -> None:
    """Raise UnreadableUpload with the reason unless the file is a workbook that is safe to read."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_kind(entries)
            _check_names(entries)
            unpacked, bounds = 0, Bounds()
            for entry in entries:
                unpacked += _walk(archive, entry, bounds, unpacked)
    except UnreadableUpload:
        raise
    except Exception as error:  # whatever a broken archive makes zipfile, zlib or expat raise
        raise UnreadableUpload(broken()) from error


def broken() -> Message:
    """Return what is said about a workbook that is no workbook inside."""
    return Message(
        "The workbook is damaged and cannot be read. Open it in your spreadsheet program and save"
        " it again."
    )


def _check_kind(entries: list[zipfile.ZipInfo]) -> None:
    """Say what an archive is instead, where it is no workbook."""
    if len(entries) > MOST_ENTRIES:
        raise UnreadableUpload(
            Message(
                "The workbook has %(number)s parts inside; %(most)s are the most. Copy the list"
                " into a new, empty workbook.",
                {"number": f"{len(entries):,}", "most": MOST_ENTRIES},
            )
        )
    names = {entry.filename for entry in entries}
    if "xl/workbook.xml" in names and "[Content_Types].xml" in names:
        return
    if "content.xml" in names:
        raise UnreadableUpload(opendocument())
    if "xl/workbook.bin" in names:
        raise UnreadableUpload(
            Message("This is a binary Excel workbook (xlsb). Save it as '.xlsx' or 'CSV UTF-8'.")
        )
    if any(name.startswith("Index/") or name.endswith(".iwa") for name in names):
        raise UnreadableUpload(
            Message("This is a file of Apple Numbers. Export it as 'CSV' or '.xlsx'.")
        )
    raise UnreadableUpload(
        Message("This is a packed file, but no Excel workbook. Unpack it and upload the list.")
    )


def opendocument() -> Message:
    """Return what is said about a file of LibreOffice."""
    return Message("This is an OpenDocument file (ods). Save it as '.xlsx' or 'CSV UTF-8'.")


def protected() -> Message:
    """Return what is said about a file with a password."""
    return Message(
        "The workbook is protected with a password. Save it without one and upload it again."
    )


def _check_names(entries: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        odd = not _EXPECTED.match(name) or ".." in name.split("/") or name.casefold() in seen
        if odd and not entry.is_dir():
            raise UnreadableUpload(
                Message(
                    "The workbook has a part that does not belong into one ('%(part)s'). Copy the"
                    " list into a new, empty workbook.",
                    {"part": _printable(name)},
                )
            )
        if _ARCHIVES.search(name):
            raise UnreadableUpload(_nested())
        if entry.flag_bits & _ENCRYPTED:
            raise UnreadableUpload(protected())
        if entry.compress_type not in _METHODS:
            raise UnreadableUpload(broken())
        seen.add(name.casefold())


def _walk(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, bounds: Bounds, before: int) -> int:
    """Unpack one part without keeping it, and return how many bytes it had."""
    is_xml = entry.filename.endswith((".xml", ".rels", ".vml"))
    is_sheet = _SHEET.match(entry.filename) is not None
    size, tail = 0, b""
    if is_sheet:
        bounds.begin()
    with archive.open(entry) as part:
        while piece := part.read(_PIECE):
            if not size and piece.startswith(_PACKED):
                raise UnreadableUpload(_nested())
            if not size and is_xml:
                _check_encoding(piece)
            size += len(piece)
            _check_size(size, before, entry.compress_size)
            if is_xml:
                if _DTD.search(tail + piece) or b"\0" in piece:
                    raise UnreadableUpload(broken())
                tail = piece[-_OVERLAP:]
            if is_sheet:
                bounds.see(piece)
    return size


def _check_size(size: int, before: int, packed: int) -> None:
    if before + size > LARGEST_UNPACKED:
        raise UnreadableUpload(
            Message(
                "Unpacked, the workbook has more than %(most)s MB. Save the list as 'CSV UTF-8'.",
                {"most": LARGEST_UNPACKED // 1024 // 1024},
            )
        )
    if size > RATIO_FROM and size > HIGHEST_RATIO * max(packed, 1):
        raise UnreadableUpload(
            Message(
                "The workbook unpacks to more than %(ratio)s times its size, which no list does."
                " Copy the list into a new, empty workbook.",
                {"ratio": HIGHEST_RATIO},
            )
        )


def _check_encoding(head: bytes) -> None:
    found = _ENCODING.search(head[:200])
    declared = found[1].lower() if found else b"utf-8"
    if declared not in {b"utf-8", b"us-ascii", b"ascii"} or head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise UnreadableUpload(broken())


def _nested() -> Message:
    return Message(
        "The workbook has another packed file inside. Copy the list into a new, empty workbook."
    )


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _printable(name: str) -> str:
    return "".join(mark if mark.isprintable() else "·" for mark in name[:60])
