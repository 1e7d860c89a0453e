"""What formats are given and what they give: the contract that each of them keeps.

docs/how-to/add-an-exporter.md goes through one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from meet2be.exports.reading import Chunk
from meet2be.language import Message


@dataclass(frozen=True, slots=True)
class Table:
    """What every format is told of the rows that come; texts are in the wished language."""

    title: str
    headings: tuple[str, ...]
    kinds: tuple[str, ...]
    widths: tuple[float, ...]
    total: int
    nothing: str
    """What stands there when there are no rows."""
    about: tuple[tuple[str, str], ...]
    """Where the rows come from, for formats that have a place for it."""
    language: str
    delimiter: str
    bom: bool
    raw: bool
    decimals: int
    """Digits behind the point of the event's money."""


class Exporter(Protocol):
    """Makes files of one format."""

    @property
    def key(self) -> str:
        """What wishes call it."""

    @property
    def label(self) -> str:
        """What pages call it, not yet translated."""

    @property
    def suffix(self) -> str:
        """The ending of its files, without the point."""

    @property
    def content_type(self) -> str:
        """What browsers are told."""

    @property
    def most_rows(self) -> int:
        """The most rows it takes."""

    @property
    def most_columns(self) -> int:
        """The most columns it takes."""

    @property
    def chunk_rows(self) -> int:
        """How many rows it likes at a time."""

    def trouble(self) -> Message | None:
        """Return why it cannot work on this machine, with what to install; None when it can."""

    def write(self, table: Table, chunks: Iterator[Chunk], folder: Path) -> Path:
        """Write the rows into a file of the folder and return its path.

        Never holds more than a few chunks. An error of ``chunks`` (somebody cancelled) passes.
        """
