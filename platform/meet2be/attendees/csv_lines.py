"""Reading separated text: numbered rows of cells, whatever the encoding, and errors in words.

A row's number is what a spreadsheet shows: the first row is 1, also where a cell of several lines
makes the file longer than its rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from meet2be.attendees.errors import NotAListError, UnreadableFileError
from meet2be.language import Message

# In characters; a spreadsheet's fullest cell holds 32,767. Keeps a file without line ends out of
# memory.
LONGEST_LINE: Final = 1_000_000
_SHOWN_BEFORE: Final = 20
_LINE_END: Final = re.compile("\r\n?|\n")
_UTF_8: Final = ("utf-8", "utf-8-sig")


class RawFile(io.RawIOBase):
    """Any readable thing as a raw stream: an upload may have no more than `read`."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer as far as there is something and return how many bytes it was."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)


class CsvLines:
    """The lines of a file and its rows; raises NotAListError or UnreadableFileError on the way."""

    def __init__(self, name: str, file: BinaryIO, encoding: str = "utf-8-sig") -> None:
        """Take a buffered binary file that stands at its beginning."""
        self._name = name
        self._encoding = encoding
        text = io.TextIOWrapper(file, encoding=encoding, errors="strict", newline="")
        self._lines = _lines_of(text)
        self._number = 0

    def first_line(self) -> str:
        """Return the file's first line as it stands, empty for an empty file."""
        self._number = 1
        with self._in_words():
            return next(self._lines, "")

    def split(self, line: str, delimiter: str) -> list[str]:
        """Return the cells of a line that was already read."""
        with self._in_words():
            return [value.strip() for value in next(csv.reader([line], delimiter=delimiter), [])]

    def rows(self, delimiter: str) -> Iterator[tuple[int, list[str]]]:
        """Yield each row that follows with its number, empty lines left out."""
        reader = csv.reader(self._lines, delimiter=delimiter, strict=True)
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
            raise self._undecodable(error) from error
        except UnicodeError as error:  # a codec's own complaint, such as UTF-16 cut off
            raise NotAListError(self._name, self._wrong_encoding(), self._number) from error
        except csv.Error as error:
            if "field larger" in str(error):
                why = Message(
                    "the quotes do not match, or a cell has more than %(most)s characters. Look"
                    ' for a " that was opened and not closed, here or shortly before.',
                    {"most": f"{csv.field_size_limit():,}"},
                )
            else:
                why = Message(
                    'the quotes do not match (%(error)s). Look for a " that was opened and not'
                    " closed, here or shortly before.",
                    {"error": error},
                )
            raise NotAListError(self._name, why, self._number) from error
        except _EndlessLineError as error:
            why = Message(
                "a line has more than %(most)s characters, so it is no list."
                " Save the list as 'CSV UTF-8'.",
                {"most": f"{LONGEST_LINE:,}"},
            )
            raise NotAListError(self._name, why, self._number) from error
        except _NulError as error:
            why = Message("there is a NUL byte, so it is no text. Save the list as 'CSV UTF-8'.")
            raise NotAListError(self._name, why, self._number) from error
        except OSError as error:
            raise UnreadableFileError(self._name, f"{error.strerror or error}.") from error

    def _undecodable(self, error: UnicodeDecodeError) -> NotAListError:
        if self._encoding not in _UTF_8:
            return NotAListError(self._name, self._wrong_encoding(), self._number)
        # Read ahead: the rows before it in this piece of the file have not been given out.
        before = _LINE_END.split(error.object[: error.start].decode("utf-8", "replace"))
        shown = _plain(before[-1][-_SHOWN_BEFORE:])
        place = f" (after '{shown}')" if shown else ""
        why = Message(
            "the byte %(byte)s%(place)s is not UTF-8, so letters would be lost."
            " Save the list as 'CSV UTF-8'.",
            {"byte": f"0x{error.object[error.start]:02x}", "place": place},
        )
        return NotAListError(self._name, why, self._number + len(before) - 1)

    def _wrong_encoding(self) -> Message:
        return Message(
            "some of its bytes are no letters in the encoding '%(encoding)s'. Choose another"
            " encoding, or save the list as 'CSV UTF-8'.",
            {"encoding": self._encoding},
        )


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
