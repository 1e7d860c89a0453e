"""What goes into the checking, writing and undoing of rows, and what comes out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from meet2be.imports.errors import packed
from meet2be.language import Message


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row as it stands in the file; `problem` when it cannot be a row at all."""

    number: int
    cells: tuple[str, ...]
    problem: Message | None = None


@dataclass(slots=True)
class Outcome:
    """What is to become, or has become, of a row; see `models.ImportRow`."""

    row_no: int
    state: str
    label: str = ""
    claim: str | None = None
    repeats: int | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    entity_id: int | None = None
    entity_at: datetime | None = None
    before: dict[str, Any] | None = None

    @property
    def warned(self) -> bool:
        """Whether the row says something that could not be read; what it leaves empty is no such.

        Such a row is shown to people even when it is taken.
        """
        return any(each["severity"] == "warning" and each["value"] for each in self.errors)

    def refuse(self, state: str, column: str, value: str, why: Message) -> None:
        """Note a reason why the row is not taken."""
        self.state = state
        self.note(column, value, why)

    def note(self, column: str, value: str, what: Message, severity: str = "refused") -> None:
        """Note something about a cell; `severity` is ``refused`` or ``warning``."""
        shown = value if len(value) <= 80 else f"{value[:80]}…"
        self.errors.append(
            {"column": column, "value": shown, "severity": severity, "why": packed(what)}
        )


@dataclass(frozen=True, slots=True)
class Written:
    """A row that this import has written: what an undo goes by."""

    row_no: int
    state: str
    entity_id: int
    entity_at: datetime | None
    before: dict[str, Any] | None


class Rows(Protocol):
    """What an import does with the rows of its kind. Nothing is committed here."""

    def order_of(self, cells: Sequence[str]) -> str:
        """Return what rows must share to be taken together; empty for rows by themselves."""

    def check(self, session: Session, rows: Sequence[SourceRow]) -> list[Outcome]:
        """Return what would become of the rows, writing nothing."""

    def write(self, session: Session, rows: Sequence[SourceRow]) -> list[Outcome]:
        """Write the rows and return what became of them."""

    def raised(self) -> Mapping[int, int]:
        """Return by how much the write raised the quota of each kind of ticket."""

    def undo(self, session: Session, rows: Sequence[Written]) -> list[Outcome]:
        """Take back what was not changed since; the others are ``kept`` with the reason."""


def claim_of(*parts: str) -> str:
    """Return what tells who a row is about, always equally long."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()
