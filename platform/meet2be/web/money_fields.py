"""Amounts and percentages as people type them into forms."""

from __future__ import annotations

import re
from decimal import Decimal

from meet2be.errors import Meet2BeError
from meet2be.language import Message

_PERCENT = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{1,2})?")


class BadPercentError(Meet2BeError):
    """What was typed is no percentage."""

    def __init__(self, text: str) -> None:
        self.text = text
        empty = (
            "This field is empty, which is no percentage. Type a number from 0 to 100, such as 12.5"
        )
        if not text.strip():
            super().__init__(Message(empty))
            return
        super().__init__(
            Message(
                "'%(text)s' is no percentage. Type a number from 0 to 100, such as 12.5",
                {"text": text[:40]},
            )
        )


def read_percent(text: str) -> int:
    """Return a typed percentage in basis points (100 is 1 %); raises ``BadPercentError``."""
    plain = text.strip().rstrip("%").strip()
    if not _PERCENT.fullmatch(plain):
        raise BadPercentError(text)
    points = int(Decimal(plain.replace(",", ".")).scaleb(2))
    if points > 10_000:
        raise BadPercentError(text)
    return points
