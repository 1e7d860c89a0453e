"""Plain tables and sentences for a terminal or a log."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = "  "


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[int] = ()
) -> None:
    """Print rows under their heads; the columns in `numbers` stand to the right.

    On a terminal the last column is cut to what fits; elsewhere nothing is cut.
    """
    cells = [[one_line(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    limit = _terminal_width()
    for row in cells:
        padded = [
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = _GAP.join(padded).rstrip()
        click.echo(line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…")


def print_json(value: Any) -> None:
    """Print a value as JSON, readable and complete."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def plural(count: int, word: str) -> str:
    """Return a count with its noun: '1 job', '2 jobs'."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _terminal_width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def one_line(cell: object) -> str:
    """Return text for one line: what an error quotes must neither break it nor steer a terminal."""
    text = "".join(char if char.isprintable() else " " for char in str(cell))
    return " ".join(text.split())


def lines(text: str) -> str:
    """Return text of several lines without what would steer a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)
