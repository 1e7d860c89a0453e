"""Reading an attendee list: from bytes to numbered rows of text, whatever is wrong with the file.

A row's number is what a spreadsheet shows: the row of names is 1, also where a note of several
lines makes the file longer than its rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from meet2be.attendees.errors import MissingColumnsError, NotAListError, UnreadableFileError

ORDER, NAME, EMAIL, COMPANY = "Order code", "Attendee name", "E-mail", "Company"
TICKET, PRICE, CURRENCY, INVOICE = "Ticket", "Price paid", "Currency", "Invoice no."
STATE, REFUNDED, LANGUAGE = "Payment state", "Refunded so far", "Language"
REGISTERED, CHECKED_IN, NOTES = "Registered at", "Checked in", "Notes"
REQUIRED: Final = (ORDER, NAME, EMAIL, TICKET, PRICE, CURRENCY, STATE)
OPTIONAL: Final = (COMPANY, INVOICE, REFUNDED, LANGUAGE, REGISTERED, CHECKED_IN, NOTES)
COLUMNS: Final = frozenset(REQUIRED + OPTIONAL)

_DELIMITERS: Final = (",", ";", "\t")
_HEAD: Final = 8
# In characters; a spreadsheet's fullest cell holds 32,767. Keeps a file without line ends out of
# memory.
LONGEST_LINE: Final = 1_000_000
_SHOWN_BEFORE: Final = 20
_LINE_END: Final = re.compile("\r\n?|\n")
# What a file that is no CSV begins with, and what to say then.
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
    problem: str | None = None


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
            raise UnreadableFileError(path.name, "it is a folder. Name a CSV file.")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise UnreadableFileError(str(path), "there is no such file.") from error
    except OSError as error:
        raise UnreadableFileError(path.name, f"{error.strerror or error}.") from error
    with file:
        yield path.name, file


def rows_of(name: str, file: BinaryIO) -> Iterator[RawRow]:
    """Yield the rows after the header. Raises an ImportRefusedError, perhaps only at the end."""
    buffered = io.BufferedReader(_Raw(file))
    try:
        head = buffered.peek(_HEAD)[:_HEAD]
    except OSError as error:
        raise UnreadableFileError(name, f"{error.strerror or error}.") from error
    _check_kind(name, head)
    text = io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="strict", newline="")
    reader = _Reader(name, text)
    header = reader.header()
    for number, values in reader.rows():
        if len(values) == len(header):
            yield RawRow(number, dict(zip(header, values, strict=True)))
        else:
            why = f"has {len(values)} values where the first row names {len(header)} columns"
            yield RawRow(number, dict(zip(header, values, strict=False)), why)


class _Raw(io.RawIOBase):
    """Any readable thing as a raw stream: an upload may have no more than `read`."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)


def _check_kind(name: str, head: bytes) -> None:
    if not head:
        raise NotAListError(name, "it is empty.")
    for magic, why in _MAGIC.items():
        if head.startswith(magic):
            raise NotAListError(name, why)


class _Reader:
    """The csv module with its errors put into words."""

    def __init__(self, name: str, text: io.TextIOWrapper) -> None:
        self._name = name
        self._lines = _lines_of(text)
        self._number = 1
        self._delimiter = ","

    def header(self) -> Sequence[str]:
        """Return the columns' names, found with whichever delimiter gives the most of them."""
        with self._in_words():
            first = next(self._lines, "")
            parsed = {
                mark: [value.strip() for value in next(csv.reader([first], delimiter=mark), [])]
                for mark in _DELIMITERS
            }
        self._delimiter = max(parsed, key=lambda mark: len(COLUMNS.intersection(parsed[mark])))
        found = parsed[self._delimiter]
        missing = [column for column in REQUIRED if column not in found]
        if missing:
            raise MissingColumnsError(self._name, missing, found)
        repeated = sorted({column for column in found if column and found.count(column) > 1})
        if repeated:
            why = f"the first row names '{repeated[0]}' more than once. Keep one of them."
            raise NotAListError(self._name, why)
        return found

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row with its number, empty lines left out."""
        reader = csv.reader(self._lines, delimiter=self._delimiter, strict=True)
        while True:
            self._number += 1
            with self._in_words():
                values = next(reader, None)
            if values is None:
                return
            if values:
                yield self._number, values

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Say what is wrong with the file, and in which row."""
        try:
            yield
        except UnicodeDecodeError as error:
            # Read ahead: the rows before it in this piece of the file have not been given out.
            before = _LINE_END.split(error.object[: error.start].decode("utf-8", "replace"))
            shown = _plain(before[-1][-_SHOWN_BEFORE:])
            place = f" (after '{shown}')" if shown else ""
            why = (
                f"the byte 0x{error.object[error.start]:02x}{place} is not UTF-8, so "
                "letters would be lost. Save the list as 'CSV UTF-8'."
            )
            raise NotAListError(self._name, why, self._number + len(before) - 1) from error
        except csv.Error as error:
            why = (
                f'the quotes do not match ({error}). Look for a " that was opened and not closed, '
                "here or shortly before."
            )
            raise NotAListError(self._name, why, self._number) from error
        except _EndlessLineError as error:
            why = (
                f"a line has more than {LONGEST_LINE:,} characters, so it is no list."
                " Save the list as 'CSV UTF-8'."
            )
            raise NotAListError(self._name, why, self._number) from error
        except _NulError as error:
            why = "there is a NUL byte, so it is no text. Save the list as 'CSV UTF-8'."
            raise NotAListError(self._name, why, self._number) from error
        except OSError as error:
            raise UnreadableFileError(self._name, f"{error.strerror or error}.") from error


def _plain(text: str) -> str:
    """Return a piece of a file as it may stand in a message: nothing that steers a terminal."""
    return "".join(mark if mark.isprintable() else "·" for mark in text)


class _NulError(Exception):
    """A line with a NUL, which the csv module would take for text."""


class _EndlessLineError(Exception):
    """A line that is longer than any list's."""


def _lines_of(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LONGEST_LINE):
        if "\0" in line:
            raise _NulError
        if len(line) == LONGEST_LINE:
            raise _EndlessLineError
        yield line
