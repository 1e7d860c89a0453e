"""The end of each step of an import, and what comes of it. All of it may run twice."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event
from meet2be.imports.desk import ImportDesk
from meet2be.imports.errors import packed
from meet2be.imports.facts import Step, WelcomesDue
from meet2be.imports.limits import UNDO_FOR
from meet2be.imports.models import Import, ImportChunk
from meet2be.imports.queries import find_import, totals
from meet2be.imports.repeats import mark_repeats
from meet2be.imports.resuming import goes_on
from meet2be.imports.seats import warn_of_seats
from meet2be.imports.steps import STATE_OF
from meet2be.imports.telling import tell_end, tell_first_failure, tell_half_undone
from meet2be.language import Message


def stop_import(desk: ImportDesk, tenant_id: int, uid: str, turn: int, why: Message) -> None:
    """End an import that cannot go on: nothing more is begun, and its end will tell the reason.

    A list that could not even be read has no chunks whose end could be waited for: it ends here.
    """
    with desk.database.tenant_session(tenant_id) as session:
        found = find_import(session, uid)
        if found is None or found.turn != turn:
            return
        found = session.get_one(Import, found.id, with_for_update=True)
        found.error = packed(why)
        if found.state == "running":
            found.state = "cancelling"
        elif found.state == "validating" and found.batch_id is None:
            _fail(session, found, desk.clock.now())
        session.commit()


def first_failure(desk: ImportDesk, tenant_id: int, uid: str, turn: int) -> None:
    """Tell, once, that a chunk failed while the others go on."""
    with desk.database.tenant_session(tenant_id) as session:
        found = find_import(session, uid)
        if found is not None and found.turn == turn:
            tell_first_failure(session, found, desk.clock.now())
            session.commit()


def end_step(desk: ImportDesk, tenant_id: int, uid: str, turn: int, step: Step) -> bool:
    """Bring the import to the state that follows the step; False when that was done before."""
    if step == "check":
        mark_repeats(desk, tenant_id, uid, turn)
        warn_of_seats(desk, tenant_id, uid, turn)
    with desk.database.tenant_session(tenant_id) as session:
        found = find_import(session, uid)
        if found is None or found.turn != turn:
            return False
        found = session.get_one(Import, found.id, with_for_update=True)
        now = desk.clock.now()
        match step:
            case "check" if found.state == STATE_OF["check"]:
                _end_check(session, found, now)
            case "write" if found.state in {STATE_OF["write"], "cancelling"}:
                if not goes_on(session, found):
                    _end_write(session, found, now)
            case "undo" if found.state == STATE_OF["undo"]:
                if not goes_on(session, found):
                    _end_undo(session, found, now)
            case _:
                return False
        session.commit()
    return True


def _end_check(session: Session, found: Import, now: datetime) -> None:
    _, chunks, _ = totals(session, found.id)
    if found.error is None and (not chunks or chunks["checked"] < chunks.total()):
        found.error = packed(
            Message("Some rows could not be checked. Check the list again; nothing was written.")
        )
    if found.error is not None:
        _fail(session, found, now)
        return
    found.state = "validated"


def _fail(session: Session, found: Import, now: datetime) -> None:
    found.state, found.finished_at = "failed", now
    tell_end(session, found, Counter(), now)


def _end_write(session: Session, found: Import, now: datetime) -> None:
    rows, chunks, _ = totals(session, found.id)
    left = chunks["checked"]
    if found.error is not None:
        found.state = "failed"
    elif found.state == "cancelling" and left:
        found.state = "cancelled"
    elif chunks["failed"] or rows["failed"] or left:
        found.state = "done_with_errors"
    else:
        found.state = "done"
    found.finished_at = now
    _let_figures_follow(session, found, rows)
    found.undo_until = now + UNDO_FOR if rows["created"] or rows["updated"] else None
    tell_end(session, found, rows, now)
    wants_welcomes = found.kind == "users" and bool(found.options.get("welcome"))
    if wants_welcomes and found.state in {"done", "done_with_errors"}:
        facts.note(session, WelcomesDue(found.uid))


def _end_undo(session: Session, found: Import, now: datetime) -> None:
    rows, chunks, _ = totals(session, found.id)
    found.undo_until = None
    _let_figures_follow(session, found, rows)
    if chunks["failed"] or found.error is not None:
        # What could not be taken back can be tried again while the time lasts.
        found.state = "done_with_errors"
        found.undo_until = (found.finished_at or now) + UNDO_FOR
        tell_half_undone(session, found, rows, now)
        return
    found.state = "undone"
    tell_end(session, found, rows, now)


def _let_figures_follow(session: Session, found: Import, rows: Counter[str]) -> None:
    """Have the event's figures made anew, where its attendees are others now."""
    if rows["created"] or rows["updated"] or rows["undone"]:
        event = None if found.event_id is None else session.get(Event, found.event_id)
        if event is not None:
            facts.note(session, EventDataStale(event.uid))


def chunks_to_do(session: Session, found: Import, step: Step) -> list[int]:
    """Return the chunks that a step is still to be done with."""
    states: dict[Step, tuple[str, ...]] = {
        "check": ("read", "failed"),
        "write": ("checked", "failed"),
        "undo": ("done", "failed", "checked"),
    }
    return list(
        session.scalars(
            select(ImportChunk.n)
            .where(ImportChunk.import_id == found.id, ImportChunk.state.in_(states[step]))
            .order_by(ImportChunk.n)
        )
    )
