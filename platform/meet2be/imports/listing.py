"""Imports as pages show them: the list of them, how far one is, and its rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from meet2be.accounts.services import names_of
from meet2be.db.hints import unindexed
from meet2be.db.keyset import Order, Page, Slice, fetch_merged, fetch_page
from meet2be.events.models import Event
from meet2be.imports.errors import unpacked
from meet2be.imports.models import PROBLEMS, ROW_STATES, Import, ImportChunk, ImportRow
from meet2be.imports.queries import UPDATES, WARNED, is_problem, totals
from meet2be.language import Message

NEWEST_FIRST = Order((Import.id,), descending=True)
_NUMBER: Any = unindexed(cast("ColumnElement[int]", ImportRow.row_no))
BY_NUMBER = Order((_NUMBER,))
"""By the rows' numbers, sorted: the chunks' index finds them."""
MOVING: Final = ("validating", "running", "cancelling", "undoing")
WRITTEN: Final = ("created", "updated", "skipped", "failed", "undone", "kept")
_THROUGH: Final = {"validating": "checked", "undoing": "undone", "undone": "undone"}
"""In which state a chunk is when an import's present step is through with it; else done."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: counted from its chunks, which count their rows in their commits."""

    state: str
    rows_read: int
    rows_total: int
    rows: Counter[str] = field(default_factory=Counter)
    chunks: Counter[str] = field(default_factory=Counter)

    @property
    def is_moving(self) -> bool:
        """Whether workers are at it."""
        return self.state in MOVING

    @property
    def is_reading(self) -> bool:
        """Whether the file is still being read, so that nobody knows how many rows there are."""
        return self.state == "validating" and not self.rows_total

    @property
    def chunks_total(self) -> int:
        """How many chunks there are."""
        return self.chunks.total()

    @property
    def chunks_done(self) -> int:
        """How many chunks the present step is through with, those that failed included."""
        after = _THROUGH.get(self.state, "done")
        return self.chunks[after] + self.chunks["failed"]

    @property
    def percent(self) -> int:
        """How much of the step is done; 100 only when it is."""
        return self.chunks_done * 100 // self.chunks_total if self.chunks_total else 0

    @property
    def ready(self) -> int:
        """How many rows are right and wait to be written."""
        return self.rows["valid"] + self.rows[UPDATES]

    @property
    def left_out(self) -> int:
        """How many rows are not written, for whatever reason."""
        return sum(
            self.rows[state]
            for state in ("invalid", "dup_in_file", "dup_existing", "skipped", "failed")
        )


def imports_page(session: Session, kinds: Collection[str], part: Slice) -> Page:
    """Return a page of (import, its event or None), the newest first."""
    statement = select(Import, Event).outerjoin(
        Event, and_(Event.tenant_id == Import.tenant_id, Event.id == Import.event_id)
    )
    statements = [statement.where(Import.kind == kind) for kind in kinds]
    return fetch_merged(session, statements, NEWEST_FIRST, part, whole_rows=True)


def position_of_import(session: Session, uid: str) -> tuple[object, ...] | None:
    """Return where an import stands in the list; None when it is gone."""
    found = session.scalar(select(Import.id).where(Import.uid == uid))
    return None if found is None else (found,)


def progress_of(session: Session, found: Import) -> Progress:
    """Return how far an import is."""
    rows, chunks, _ = totals(session, found.id)
    return Progress(found.state, found.rows_read, found.rows_total, rows, chunks)


def failures_of(session: Session, found: Import) -> list[tuple[int, Message]]:
    """Return why parts of an import were given up: how many for each reason."""
    reasons = session.scalars(
        select(ImportChunk.error).where(
            ImportChunk.import_id == found.id, ImportChunk.state == "failed"
        )
    )
    counted = Counter(json.dumps(reason, sort_keys=True) for reason in reasons if reason)
    return [(number, unpacked(json.loads(reason))) for reason, number in counted.most_common(5)]


def rows_page(session: Session, found: Import, state: str, part: Slice) -> Page:
    """Return a page of rows by number: of one state, with warnings, or ("") all to look at."""
    state = state if state in {*ROW_STATES, WARNED} else ""
    chunks = _chunks_with(session, found, state, part)
    if not chunks:
        return Page([], has_earlier=part.after is not None, has_later=part.before is not None)
    statement = select(ImportRow).where(
        ImportRow.import_id == found.id, ImportRow.chunk_no.in_(chunks)
    )
    if state in ROW_STATES:
        statement = statement.where(ImportRow.state == state)
    elif state == WARNED:
        statement = statement.where(ImportRow.warned)
    else:
        statement = statement.where(or_(is_problem(), ImportRow.warned))
    return fetch_page(session, statement, BY_NUMBER, part)


def _chunks_with(session: Session, found: Import, state: str, part: Slice) -> list[int]:
    """Return the next chunks that hold a page of rows of a state: each counts its rows itself.

    An index by state would have to be kept for every row that is written.
    """
    place = part.after if part.before is None else part.before
    end = ImportChunk.last_row if part.before is None else ImportChunk.first_row
    chunks = select(ImportChunk.n, ImportChunk.counts).where(ImportChunk.import_id == found.id)
    if place is not None:
        chunks = chunks.where(end > place[0] if part.before is None else end < place[0])
    by = ImportChunk.n.asc() if part.before is None else ImportChunk.n.desc()
    chosen: list[int] = []
    left = part.size + 1
    for number, counts in session.execute(chunks.order_by(by)):
        rows = _at_least(counts, state)
        if rows:
            chosen.append(number)
            # The first may hold the place itself, and rows on its other side.
            left -= rows if place is None or len(chosen) > 1 else 0
        if left <= 0:
            break
    return chosen


def _at_least(counts: Mapping[str, int], state: str) -> int:
    """Return how many rows of a filter a chunk holds, or some of them but not none."""
    if not state:  # a row may be warned of and be a problem, too
        return max(sum(counts.get(each, 0) for each in PROBLEMS), counts.get(WARNED, 0))
    return counts.get(state, 0) + (counts.get(UPDATES, 0) if state == "valid" else 0)


def event_of(session: Session, found: Import) -> Event | None:
    """Return the event an import is for."""
    return None if found.event_id is None else session.get(Event, found.event_id)


def name_of_uploader(session: Session, found: Import) -> str:
    """Return who uploaded the list."""
    if found.uploaded_by is None:
        return ""
    return names_of(session, [found.uploaded_by]).get(found.uploaded_by, "")
