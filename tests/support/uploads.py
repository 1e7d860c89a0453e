"""Uploaded files that somebody has tampered with: good ones, mutated at random by a seed."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator
from datetime import datetime

import openpyxl

_CSV = (
    'Name;E-mail;Betrag;Notizen\r\nJürgen Groß;j@example.org;12,50;"a, b"\r\n'
    'Åsa Öst;a@example.org;0;"zwei\r\nZeilen"\r\n' * 4
)
_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le", "mac-roman")
_NASTY = (
    b"\0", b"\xff\xfe", b'"', b"\r", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"XFD1048576",
    b"PK\x03\x04", b"&#65;", b"]]>", b"9" * 40, b"\xed\xa0\x80", b"=cmd|'/c calc'!A0",
    b't="s"', b"<c/>", b"-1",
)  # fmt: skip


def workbook() -> bytes:
    """Return a small workbook of every kind of cell."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Name", "E-mail", "Phone", "When", "Sum"])
    for number in range(8):
        when = datetime(2026, 3, 1 + number, 10)  # noqa: DTZ001 -- workbooks know no zones
        sheet.append([f"G {number}", f"g{number}@example.org", 49e9 + number, when, "=1+1"])
    sheet.merge_cells("A5:B5")
    book.create_sheet("Hidden").sheet_state = "hidden"
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def mutated(seed: int, files: int) -> Iterator[bytes]:
    """Yield so many tampered files, workbooks and texts in turn."""
    chance = random.Random(seed)
    good = workbook()
    parts = _parts(good)
    for number in range(files):
        kind = number % 3
        if kind == 0:
            yield _bytes(chance, _CSV.encode(chance.choice(_ENCODINGS), "replace"))
        elif kind == 1:
            yield _bytes(chance, good)
        else:
            yield _packed(chance, dict(parts))


def _parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _bytes(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[at : at + chance.randint(1, 40)]
            case 2:
                changed[at:at] = chance.choice(_NASTY)
            case 3:
                changed[at:at] = changed[at : at + chance.randint(1, 200)]
            case _:
                del changed[chance.randrange(len(changed) + 1) :]
        if not changed:
            break
    return bytes(changed)


def _packed(chance: random.Random, parts: dict[str, bytes]) -> bytes:
    """Return a workbook that unpacks well and holds a mutated part, one too many or too few."""
    name = chance.choice(sorted(parts))
    match chance.randrange(6):
        case 0:
            del parts[name]
        case 1:
            parts[f"xl/{chance.choice(('a.zip', '../x', 'media/b.png', 'n.xml'))}"] = b"PK\x03\x04"
        case _:
            parts[name] = _bytes(chance, parts[name])
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, data in parts.items():
            archive.writestr(each, data)
    return target.getvalue()
