"""The two readers of workbooks: one fast, one that bears more. Both run in the child only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from meet2be.imports.errors import UnreadableUpload
from meet2be.imports.limits import MOST_COLUMNS, MOST_WORKBOOK_ROWS
from meet2be.imports.workbook.cells import text_of
from meet2be.imports.workbook.checks import broken
from meet2be.language import Message

Engine = Literal["calamine", "openpyxl"]
ENGINES: Final[tuple[Engine, ...]] = ("calamine", "openpyxl")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet's name, and whether a person sees it."""

    name: str
    is_visible: bool


def sheets_of(path: str, engine: Engine) -> list[Sheet]:
    """Return the sheets that hold cells, in their order."""
    try:
        return _SHEETS[engine](path)
    except UnreadableUpload:
        raise
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # both libraries raise whatever a broken file leads them to
        raise UnreadableUpload(broken()) from error


def rows_of(path: str, sheet: str, engine: Engine) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, with their numbers; cells at the end may be missing."""
    try:
        for number, values in _ROWS[engine](path, sheet):
            _check_length(number)
            cells = [text_of(value) for value in values[:MOST_COLUMNS]]
            if any(cells):
                yield number, cells
    except UnreadableUpload:
        raise
    except (MemoryError, KeyboardInterrupt, GeneratorExit):
        raise
    except Exception as error:
        raise UnreadableUpload(broken()) from error


def _check_length(number: int) -> None:
    if number > MOST_WORKBOOK_ROWS:
        raise UnreadableUpload(
            Message(
                "The workbook has more than %(most)s rows. Save a longer list as 'CSV UTF-8'.",
                {"most": f"{MOST_WORKBOOK_ROWS:,}"},
            )
        )


def _calamine_sheets(path: str) -> list[Sheet]:
    import python_calamine as calamine

    book = calamine.CalamineWorkbook.from_path(path)
    kinds = calamine.SheetTypeEnum.WorkSheet
    seen = calamine.SheetVisibleEnum.Visible
    return [
        Sheet(each.name, each.visible == seen) for each in book.sheets_metadata if each.typ == kinds
    ]


def _calamine_rows(path: str, sheet: str) -> Iterator[tuple[int, list[Any]]]:
    import python_calamine as calamine

    book = calamine.CalamineWorkbook.from_path(path)
    found = book.get_sheet_by_name(sheet)
    if found.start is None:
        return
    first = found.start[0] + 1
    before = [""] * found.start[1]
    for number, values in enumerate(found.to_python(skip_empty_area=True), start=first):
        yield number, before + values


def _openpyxl_sheets(path: str) -> list[Sheet]:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        return [Sheet(each.title, each.sheet_state == "visible") for each in book.worksheets]
    finally:
        book.close()


def _openpyxl_rows(path: str, sheet: str) -> Iterator[tuple[int, list[Any]]]:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        found = book[sheet]
        # What the sheet says about its own size is not believed.
        found.reset_dimensions()
        yield from (
            (number, list(values))
            for number, values in enumerate(found.iter_rows(values_only=True), start=1)
        )
    finally:
        book.close()


_SHEETS = {"calamine": _calamine_sheets, "openpyxl": _openpyxl_sheets}
_ROWS = {"calamine": _calamine_rows, "openpyxl": _openpyxl_rows}
