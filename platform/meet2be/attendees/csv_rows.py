"""Reading an attendee list: from bytes to numbered rows of text, whatever is wrong with the file.

A row's number is what a spreadsheet shows: the row of names is 1, also where a note of several
lines makes the file longer than its rows.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from meet2be.attendees.csv_lines import CsvLines, RawFile
from meet2be.attendees.errors import MissingColumnsError, NotAListError, UnreadableFileError
from meet2be.language import Message

ORDER, NAME, EMAIL, COMPANY = "Order code", "Attendee name", "E-mail", "Company"
TICKET, PRICE, CURRENCY, INVOICE = "Ticket", "Price paid", "Currency", "Invoice no."
STATE, REFUNDED, LANGUAGE = "Payment state", "Refunded so far", "Language"
REGISTERED, CHECKED_IN, NOTES = "Registered at", "Checked in", "Notes"
REQUIRED: Final = (ORDER, NAME, EMAIL, TICKET, PRICE, CURRENCY, STATE)
OPTIONAL: Final = (COMPANY, INVOICE, REFUNDED, LANGUAGE, REGISTERED, CHECKED_IN, NOTES)
COLUMNS: Final = frozenset(REQUIRED + OPTIONAL)

_DELIMITERS: Final = (",", ";", "\t")
_HEAD: Final = 8
# What a file that is no CSV begins with, and what to say then. Only the command line says these:
# the pages take more kinds of files.
_MAGIC: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": "it is an Excel or other packed file. Save it as 'CSV UTF-8' first.",
    b"\xd0\xcf\x11\xe0": "it is an old Excel file. Save it as 'CSV UTF-8' first.",
    b"%PDF": "it is a PDF. Export the list as 'CSV UTF-8'.",
    b"\x1f\x8b": "it is compressed. Unpack it first.",
    b"\xff\xfe": "it is UTF-16. Save it as 'CSV UTF-8'.",
    b"\xfe\xff": "it is UTF-16. Save it as 'CSV UTF-8'.",
}


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it stands in the file; `problem` when it does not fit its header."""

    number: int
    values: Mapping[str, str]
    problem: Message | str | None = None


@contextmanager
def opened(source: str | Path | BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
    """Yield a name to show and the bytes; raises UnreadableFileError."""
    if not isinstance(source, str | Path):
        name = getattr(source, "name", None)
        yield (Path(name).name if isinstance(name, str) else "the uploaded file"), source
        return
    path = Path(source)
    try:
        if path.is_dir():
            raise UnreadableFileError(str(path), "it is a folder. Name a CSV file.")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise UnreadableFileError(str(path), "there is no such file.") from error
    except OSError as error:
        raise UnreadableFileError(path.name, f"{error.strerror or error}.") from error
    with file:
        yield path.name, file


def rows_of(name: str, file: BinaryIO) -> Iterator[RawRow]:
    """Yield the rows after the header. Raises an ImportRefusedError, perhaps only at the end."""
    buffered = io.BufferedReader(RawFile(file))
    try:
        head = buffered.peek(_HEAD)[:_HEAD]
    except OSError as error:
        raise UnreadableFileError(name, f"{error.strerror or error}.") from error
    _check_kind(name, head)
    lines = CsvLines(name, cast("BinaryIO", buffered))
    header, delimiter = _header(lines, name)
    for number, values in lines.rows(delimiter):
        if len(values) == len(header):
            yield RawRow(number, dict(zip(header, values, strict=True)))
        else:
            yield RawRow(
                number,
                dict(zip(header, values, strict=False)),
                misfit(len(values), len(header)),
            )


def misfit(values: int, columns: int) -> Message:
    """Return what is wrong with a row that does not fit its header."""
    return Message(
        "has %(values)s value where the first row names %(columns)s columns",
        {"values": values, "columns": columns},
        "has %(values)s values where the first row names %(columns)s columns",
        values,
    )


def _check_kind(name: str, head: bytes) -> None:
    if not head:
        raise NotAListError(name, "it is empty.")
    for magic, why in _MAGIC.items():
        if head.startswith(magic):
            raise NotAListError(name, why)


def _header(lines: CsvLines, name: str) -> tuple[Sequence[str], str]:
    """Return the columns' names and the delimiter, whichever gives the most of them."""
    first = lines.first_line()
    parsed = {mark: lines.split(first, mark) for mark in _DELIMITERS}
    delimiter = max(parsed, key=lambda mark: len(COLUMNS.intersection(parsed[mark])))
    found = parsed[delimiter]
    missing = [column for column in REQUIRED if column not in found]
    if missing:
        raise MissingColumnsError(name, missing, found)
    repeated = sorted({column for column in found if column and found.count(column) > 1})
    if repeated:
        why = Message(
            "the first row names '%(column)s' more than once. Keep one of them.",
            {"column": repeated[0]},
        )
        raise NotAListError(name, why)
    return found, delimiter
