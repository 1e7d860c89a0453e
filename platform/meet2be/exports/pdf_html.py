"""The page that is laid out: a table, every text escaped, every cell in its own direction."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from html import escape
from typing import Any, Final

from babel.numbers import format_decimal

from meet2be.exports.cells import REPLACEMENT, writable
from meet2be.exports.formats import Table
from meet2be.exports.reading import Chunk, Values

LONGEST_TEXT: Final = 1000
"""Signs of a cell on paper: a longer one would fill pages. The other formats have all of it."""

# One name: with four in a row a page takes four times as long. For what it lacks fontconfig finds
# another font by itself; pdf_fonts looks whether there is one for each script.
FONTS: Final = '"DejaVu Sans"'
# Every second row is shaded: a line below each cell costs a fourth of all the work.
_STYLE: Final = """
@page { size: A4 landscape; margin: 15mm 10mm 13mm;
  @top-left { content: string(title); font: 8pt FONTS; color: #555; }
  @bottom-left { content: string(about); font: 7pt FONTS; color: #555; } }
html { font: 7.5pt/1.25 FONTS; color: #111; }
body { string-set: title attr(data-title), about attr(data-about); }
p.nothing { font-size: 10pt; }
table { border-collapse: separate; border-spacing: 0; width: 100%; table-layout: fixed; }
th { text-align: start; background: #eef0f4; border-bottom: .6pt solid #777; }
td { vertical-align: top; }
tr:nth-child(even) { background: #f4f5f8; }
th, td { padding: 2pt 3pt; overflow-wrap: anywhere; }
td.n { text-align: end; }
tr { break-inside: avoid; }
""".replace("FONTS", FONTS)


def page_of(table: Table, chunk: Chunk) -> str:
    """Return the HTML of some rows, which is well-formed XML, too: that is read faster."""
    cells = [_column(kind, values, table) for kind, values in zip(table.kinds, chunk, strict=True)]
    rows = "\n".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True))
    nothing = "" if rows else f'<p class="nothing">{escape(table.nothing)}</p>'
    share = 100 / sum(table.widths)
    widths = "".join(f'<col style="width:{width * share:.2f}%"/>' for width in table.widths)
    headings = "".join(f"<th{_direction(text)}>{_text(text)}</th>" for text in table.headings)
    about = " · ".join(value for _label, value in table.about if value)
    return (
        f'<!DOCTYPE html><html lang="{table.language}"><head><meta charset="utf-8"/>'
        f"<title>{_text(table.title)}</title><style>{_STYLE}</style></head>"
        f'<body data-title="{_text(table.title)}" data-about="{_text(about)}">'
        f"<table><colgroup>{widths}</colgroup><thead><tr>{headings}</tr></thead>"
        f"<tbody>{rows}</tbody></table>{nothing}</body></html>"
    )


def _column(kind: str, values: Values, table: Table) -> list[str]:
    if kind == "money":
        return [f'<td class="n">{_amount(value, table.language)}</td>' for value in values]
    if kind == "moment":
        return [f"<td>{_moment(value)}</td>" for value in values]
    return [f"<td{_direction(text)}>{_text(text)}</td>" for text in writable(values)]


def _text(text: Any) -> str:
    if not text:
        return ""
    whole = str(text)
    shown = whole if len(whole) <= LONGEST_TEXT else f"{whole[: LONGEST_TEXT - 1]}…"
    return escape(
        "".join(sign if sign.isprintable() or sign in "\n\t" else _plain(sign) for sign in shown)
    )


def _plain(sign: str) -> str:
    # Marks of direction and joiners of emoji are "format" signs and belong to the text.
    return sign if unicodedata.category(sign) in {"Cf", "Zs", "Zl", "Zp"} else REPLACEMENT


def _direction(text: Any) -> str:
    """Return what tells that a cell is read from right to left: its first strong sign says so."""
    if not text or str(text).isascii():
        return ""
    for sign in str(text):
        kind = unicodedata.bidirectional(sign)
        if kind in {"R", "AL"}:
            return ' dir="rtl"'
        if kind == "L":
            return ""
    return ""


def _amount(value: Decimal | None, language: str) -> str:
    # By its text: amounts of two currencies may be equal and yet have other decimals.
    return "" if value is None else _written(str(value), language)


@lru_cache(maxsize=4096)
def _written(amount: str, language: str) -> str:
    digits = len(amount.partition(".")[2])
    pattern = f"#,##0.{'0' * digits}" if digits else "#,##0"
    return format_decimal(Decimal(amount), pattern, locale=language)


def _moment(value: datetime | None) -> str:
    return "" if value is None else value.isoformat(" ", "minutes")
