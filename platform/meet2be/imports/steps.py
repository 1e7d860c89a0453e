"""One chunk of an import: checked, written or undone, each in one commit with its rows' states.

What a chunk does and that it has done it is one transaction, so a worker that is killed anywhere
leaves a chunk that is done or untouched; a second run finds it done. The rows' natural keys stand
behind that: an order's code, an account's address and a row's claim are each unique.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be.imports.attendee_undo import lower_quotas
from meet2be.imports.desk import ImportDesk
from meet2be.imports.errors import packed
from meet2be.imports.facts import Step
from meet2be.imports.models import Import, ImportChunk, ImportRow
from meet2be.imports.outcomes import Outcome, Written
from meet2be.imports.preparing import rows_of
from meet2be.imports.queries import (
    content_of,
    count_rows,
    find_import,
    insert_outcomes,
    update_outcomes,
)
from meet2be.imports.telling import announce_rows
from meet2be.imports.welcoming import withdraw_welcomes
from meet2be.language import Message

TRIES: Final = 3
"""Others may write the same people between our look and our insert; then we look again."""
STATE_OF: Final[dict[Step, str]] = {"check": "validating", "write": "running", "undo": "undoing"}
AFTER: Final[dict[Step, str]] = {"check": "checked", "write": "done", "undo": "undone"}


def work_chunk(desk: ImportDesk, tenant_id: int, uid: str, turn: int, step: Step, n: int) -> bool:
    """Do one step of one chunk; False when there is nothing to do.

    Raises ImportStopped with the reason when the whole import cannot go on.
    """
    tries = 0
    while True:
        tries += 1
        try:
            return _once(desk, tenant_id, uid, turn, step, n)
        except IntegrityError:
            if tries == TRIES:
                raise


def chunk_failed(
    desk: ImportDesk, tenant_id: int, uid: str, turn: int, n: int, why: Message
) -> None:
    """Note that a chunk was given up and why, so that it is shown and can be tried again."""
    with desk.database.tenant_session(tenant_id) as session:
        found = find_import(session, uid)
        if found is None or found.turn != turn:
            return
        chunk = session.get(ImportChunk, (found.id, n), with_for_update=True)
        if chunk is not None and chunk.state in {"read", "checked", "done"}:
            chunk.error = packed(why)
            chunk.attempts += 1
            if chunk.state != "done" or found.state == "undoing":
                chunk.state = "failed"
        session.commit()


def is_over(desk: ImportDesk, tenant_id: int, uid: str, turn: int, step: Step) -> bool:
    """Tell whether nothing of a step is to be done any more, because the import has moved on."""
    with desk.database.tenant_session(tenant_id, read_only=True) as session:
        found = find_import(session, uid)
        return found is None or found.turn != turn or found.state != STATE_OF[step]


def _once(desk: ImportDesk, tenant_id: int, uid: str, turn: int, step: Step, n: int) -> bool:
    with desk.database.tenant_session(tenant_id) as session:
        found = find_import(session, uid)
        if found is None or found.turn != turn or found.state != STATE_OF[step]:
            return False
        chunk = session.get(ImportChunk, (found.id, n), with_for_update=True)
        if chunk is None or chunk.state == AFTER[step]:
            return False
        match step:
            case "check":
                _check(session, found, chunk)
            case "write":
                _write(session, found, chunk)
            case "undo":
                _undo(session, found, chunk)
        chunk.state, chunk.error = AFTER[step], None
        chunk.attempts += 1
        session.commit()
    return True


def _check(session: Session, found: Import, chunk: ImportChunk) -> None:
    outcomes = rows_of(session, found).check(session, content_of(session, chunk))
    insert_outcomes(session, chunk, outcomes)
    chunk.counts = _counted(session, chunk)


def _write(session: Session, found: Import, chunk: ImportChunk) -> None:
    ready = set(
        session.scalars(
            select(ImportRow.row_no).where(
                ImportRow.import_id == found.id,
                ImportRow.chunk_no == chunk.n,
                ImportRow.state == "valid",
            )
        )
    )
    if ready:
        rows = [row for row in content_of(session, chunk) if row.number in ready]
        rules = rows_of(session, found, lock=True)
        outcomes = rules.write(session, rows)
        update_outcomes(session, chunk, outcomes)
        _remember_raised(chunk, rules.raised())
        announce_rows(session, found, outcomes)
    chunk.counts = _counted(session, chunk)


def _undo(session: Session, found: Import, chunk: ImportChunk) -> None:
    written = list(_written(session, found, chunk))
    if written:
        outcomes = rows_of(session, found, is_undo=True).undo(session, written)
        if found.kind == "users":
            _note_welcomed(session, outcomes, written)
        update_outcomes(session, chunk, _remembering(outcomes, written))
    if chunk.raised:
        lower_quotas(session, chunk.raised)
        chunk.raised = None
    chunk.counts = _counted(session, chunk)


def _remember_raised(chunk: ImportChunk, raised: Mapping[int, int]) -> None:
    """Add to what the chunk raised before: rows that failed may be written later than others."""
    if raised:
        whole = Counter(chunk.raised or {}) + Counter(
            {str(kind): by for kind, by in raised.items()}
        )
        chunk.raised = dict(whole)


def _note_welcomed(session: Session, outcomes: list[Outcome], written: list[Written]) -> None:
    """Withdraw the welcomes of those who are taken back, and note which had left already."""
    undone = {outcome.row_no: outcome for outcome in outcomes if outcome.state == "undone"}
    left = withdraw_welcomes(session, [row for row in written if row.row_no in undone])
    for number in left:
        why = Message("had got the welcome mail before; its link is of no use any more.")
        undone[number].note("", "", why, "warning")


def _written(session: Session, found: Import, chunk: ImportChunk) -> Iterator[Written]:
    rows = session.execute(
        select(
            ImportRow.row_no,
            ImportRow.state,
            ImportRow.entity_id,
            ImportRow.entity_at,
            ImportRow.before,
        ).where(
            ImportRow.import_id == found.id,
            ImportRow.chunk_no == chunk.n,
            ImportRow.state.in_(("created", "updated")),
        )
    )
    for row_no, state, entity_id, entity_at, before in rows:
        yield Written(row_no, state, int(entity_id or 0), entity_at, before)


def _remembering(outcomes: list[Outcome], written: list[Written]) -> list[Outcome]:
    """Let rows that are kept go on knowing whom they wrote."""
    by_number = {row.row_no: row for row in written}
    for outcome in outcomes:
        row = by_number[outcome.row_no]
        outcome.entity_id = row.entity_id if outcome.state == "kept" else None
    return outcomes


def _counted(session: Session, chunk: ImportChunk) -> dict[str, Any]:
    return dict(count_rows(session, chunk.import_id, [chunk.n])[chunk.n])
