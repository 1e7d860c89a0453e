"""Guessing how a file of text is to be read. A person sees the guess and can change all of it."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from charset_normalizer import from_bytes

from meet2be.imports.errors import UnreadableUpload
from meet2be.imports.workbook.checks import opendocument, protected
from meet2be.language import Message

ENCODINGS: Final[Mapping[str, str]] = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
    "cp1252": "Windows-1252 (Western Europe)",
    "iso8859-15": "ISO 8859-15 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1255": "Windows-1255 (Hebrew)",
    "cp1256": "Windows-1256 (Arabic)",
    "mac-roman": "Mac OS Roman",
    "cp850": "DOS 850 (Western Europe)",
    "cp437": "DOS 437 (US)",
    "shift_jis": "Shift JIS (Japanese)",
    "euc_kr": "EUC-KR (Korean)",
    "gb18030": "GB 18030 (Chinese)",
    "big5": "Big5 (Chinese)",
}
DELIMITERS: Final[Mapping[str, str]] = {
    ",": ",",
    ";": ";",
    "\t": "Tab",
    "|": "|",
}
SAMPLE: Final = 64 * 1024
"""Bytes of the file's beginning that are looked at."""
_FOR_GUESSING: Final = 6 * 1024
_LINES: Final = 20
_NULS: Final = 0.3
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Of a Windows file the bytes that stand for nothing; a Mac or DOS file uses them for letters.
_NOT_WINDOWS: Final = frozenset(b"\x81\x8d\x8f\x90\x9d")
_GUESSED: Final = ("cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "shift_jis",
                   "euc_kr", "gb18030", "big5", "cp1252")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is read. `header_row` is the row with the columns' names, 0 where there is none.

    `encoding` and `delimiter` are those of text, `sheet` and `sheets` those of a workbook.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    header_row: int = 1
    sheet: str = ""
    sheets: tuple[tuple[str, bool], ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON keeps it."""
        return {
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "header_row": self.header_row,
            "sheet": self.sheet,
            "sheets": [list(each) for each in self.sheets],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Layout:
        """Return what `to_json` made JSON of."""
        sheets = tuple((str(name), bool(seen)) for name, seen in document.get("sheets", ()))
        return cls(
            str(document.get("encoding", "utf-8")),
            str(document.get("delimiter", ",")),
            int(document.get("header_row", 1)),
            str(document.get("sheet", "")),
            sheets,
        )


def format_of(head: bytes, tail: bytes = b"") -> str:
    """Return "csv" or "xlsx" by a file's bytes, whatever its name; raises UnreadableUpload.

    `head` and `tail` are its first and last SAMPLE bytes.
    """
    if not head.strip(b"\0 \t\r\n"):
        raise UnreadableUpload(Message("The file is empty."))
    if head.startswith(b"PK\x03\x04"):
        if b"mimetypeapplication/vnd.oasis.opendocument" in head[:200]:
            raise UnreadableUpload(opendocument())
        return "xlsx"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        mark = "EncryptedPackage".encode("utf-16-le")
        if mark in head or mark in tail:
            raise UnreadableUpload(protected())
        raise UnreadableUpload(
            Message("This is an old Excel workbook (xls). Save it as '.xlsx' or 'CSV UTF-8'.")
        )
    for magic, message in _OTHERS:
        if head.startswith(magic):
            raise UnreadableUpload(message)
    shown = head[:2000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if shown.startswith((b"<!doctype", b"<html", b"<table", b"<head", b"<?xml", b"<meta")):
        raise UnreadableUpload(
            Message(
                "This is a web page, whatever its name says. Open it in your spreadsheet program"
                " and save it as '.xlsx' or 'CSV UTF-8'."
            )
        )
    if b"\0" in head and not _wide(head):
        raise UnreadableUpload(Message("This is no list: there are NUL bytes in it."))
    return "csv"


_PICTURE: Final = Message("This is a picture. Export the list as '.xlsx' or 'CSV UTF-8'.")
_PACKED: Final = Message("This file is compressed. Unpack it and upload the list.")
_OTHERS: Final = (
    (b"%PDF", Message("This is a PDF. Export the list as '.xlsx' or 'CSV UTF-8'.")),
    (b"{\\rtf", Message("This is a text document. Save the list as '.xlsx' or 'CSV UTF-8'.")),
    (b"\x89PNG", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"\x1f\x8b", _PACKED),
    (b"BZh", _PACKED),
    (b"\xfd7zXZ", _PACKED),
    (b"7z\xbc\xaf", _PACKED),
    (b"Rar!", _PACKED),
    (b"PK\x05\x06", _PACKED),
)


def guess_layout(head: bytes, *, is_utf8: bool) -> Layout:
    """Return the likely layout of a text; `is_utf8` tells whether the whole file decodes so."""
    encoding = guess_encoding(head, is_utf8=is_utf8)
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    if len(head) >= SAMPLE:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    delimiter = guess_delimiter(text)
    return Layout(encoding, delimiter, 1 if has_header(sample_rows(text, delimiter)) else 0)


def guess_encoding(head: bytes, *, is_utf8: bool) -> str:
    """Return one of ENCODINGS."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    wide = _wide(head)
    if wide:
        return wide
    if is_utf8:
        return "utf-8"
    strange = _NOT_WINDOWS.intersection(head)
    if strange or (b"\r" in head and b"\n" not in head):
        return _old_encoding(head)
    sample = _around_letters(head)
    best = from_bytes(sample, cp_isolation=list(_GUESSED)).best()
    name = best.encoding if best is not None else "cp1252"
    is_same = name in ENCODINGS and sample.decode(name, "replace") == sample.decode(
        "cp1252", "replace"
    )
    return "cp1252" if is_same or name not in ENCODINGS else name


def _wide(head: bytes) -> str:
    """Return the kind of UTF-16 that a text without a mark at its beginning is, "" for none."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = head[:4096]
    half = max(len(sample) // 2, 1)
    if sample[1::2].count(0) / half > _NULS > sample[0::2].count(0) / half:
        return "utf-16-le"
    if sample[0::2].count(0) / half > _NULS > sample[1::2].count(0) / half:
        return "utf-16-be"
    return ""


def _old_encoding(head: bytes) -> str:
    """Return which of the encodings before Windows' gives more letters."""
    if b"\r" in head and b"\n" not in head:
        return "mac-roman"
    sample = bytes(byte for byte in _around_letters(head) if byte > 127)

    def letters(name: str) -> int:
        return sum(mark.isalpha() for mark in sample.decode(name, "replace"))

    return max(("cp850", "mac-roman", "cp437"), key=letters)


def _around_letters(head: bytes) -> bytes:
    """Return the lines that are not plain ASCII: only they tell encodings apart."""
    lines = [line for line in head.splitlines() if not line.isascii()]
    return b"\n".join(lines)[:_FOR_GUESSING]


def guess_delimiter(text: str) -> str:
    """Return what separates the columns: what splits most rows into equally many, and most."""
    return max(DELIMITERS, key=lambda mark: _fitness(sample_rows(text, mark)))


def _fitness(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    widths = [len(row) for row in rows]
    if not widths:
        return 0.0, 0
    usual = max(set(widths), key=lambda width: (widths.count(width), width))
    if usual < 2:
        return 0.0, 0
    return widths.count(usual) / len(widths), usual


def sample_rows(text: str, delimiter: str) -> list[list[str]]:
    """Return the first rows as the delimiter splits them; a broken one ends them."""
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while len(rows) < _LINES:
        try:
            row = next(reader, None)
        except csv.Error:
            break
        if row is None:
            break
        if any(cell.strip() for cell in row):
            rows.append(row)
    return rows


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row names the columns rather than a person."""
    if not rows:
        return True
    first = [cell.strip() for cell in rows[0]]
    if any("@" in cell and "." in cell for cell in first):
        return False
    return not any(cell.replace(".", "").replace(",", "").isdigit() for cell in first)
