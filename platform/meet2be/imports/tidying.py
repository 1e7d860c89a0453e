"""Imports that nobody works on any more: the stuck are begun again, the old are forgotten."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.imports.closing import end_step
from meet2be.imports.desk import ImportDesk
from meet2be.imports.facts import ImportToBeRead, Step, StepWanted
from meet2be.imports.limits import KEPT_FOR
from meet2be.imports.listing import MOVING
from meet2be.imports.models import Import, ImportChunk, ImportRow

_log = logging.getLogger("meet2be.imports")
AT_ONCE: Final = 100
STUCK_AFTER: Final = timedelta(minutes=45)
"""Longer than any job of an import takes: nobody works on one that stood still for so long."""
_WANTS_ITS_FILE: Final = ("uploaded", "mapped", "validated", "failed")
"""States in which a list that was never begun to be written can be read once more."""
_STEPS: Final[dict[str, Step]] = {"validating": "check", "running": "write", "undoing": "undo"}


def wake_imports(desk: ImportDesk) -> int:
    """Go on with imports whose jobs were lost with their broker; return how many.

    What is done stays done: only the chunks that are left are begun again.
    """
    before = desk.clock.now() - STUCK_AFTER
    lately = exists().where(
        ImportChunk.tenant_id == Import.tenant_id,
        ImportChunk.import_id == Import.id,
        ImportChunk.updated_at >= before,
    )
    with desk.database.system_session("wake: imports that stand still", read_only=True) as look:
        stuck = look.execute(
            select(Import.tenant_id, Import.uid, Import.turn)
            .where(Import.state.in_(MOVING), Import.updated_at < before, ~lately)
            .limit(AT_ONCE)
        ).all()
    woken = 0
    for tenant_id, uid, turn in stuck:
        try:
            if not _end_if_cancelling(desk, tenant_id, uid, turn):
                _begin_again(desk, tenant_id, uid, turn)
        except Exception:  # noqa: BLE001 -- the others are not to wait for this one
            _log.exception("the import '%s' could not be begun again", uid)
        else:
            woken += 1
    return woken


def _end_if_cancelling(desk: ImportDesk, tenant_id: int, uid: str, turn: int) -> bool:
    """End an import that waits for nothing but the end of its batch; tell whether it did."""
    with desk.database.tenant_session(tenant_id, read_only=True) as session:
        state = session.scalar(select(Import.state).where(Import.uid == uid))
    return state == "cancelling" and end_step(desk, tenant_id, uid, turn, "write")


def _begin_again(desk: ImportDesk, tenant_id: int, uid: str, turn: int) -> None:
    with desk.database.tenant_session(tenant_id) as session:
        found = session.scalars(select(Import).where(Import.uid == uid).with_for_update()).one()
        if found.turn != turn or found.state not in _STEPS:
            return
        found.turn += 1
        found.batch_id = None
        if found.state == "validating" and not found.rows_total:
            facts.note(session, ImportToBeRead(uid, found.turn))
        else:
            facts.note(session, StepWanted(uid, found.turn, _STEPS[found.state]))
        session.commit()


def tidy_imports(desk: ImportDesk) -> int:
    """Remove the files and rows of imports that ended, or were left, long ago; return how many.

    What an import came to stays in its entry and in the audit log. One that is at work is left.
    """
    now, tidied, last = desk.clock.now(), 0, 0
    while True:
        with desk.database.system_session("tidy: what old imports left", read_only=True) as look:
            found = look.execute(
                select(Import.tenant_id, Import.id, Import.storage_key)
                .where(
                    Import.storage_key.is_not(None),
                    Import.state.not_in(MOVING),
                    Import.updated_at < now - KEPT_FOR,
                    Import.id > last,  # one that cannot be tidied keeps no other from it
                )
                .order_by(Import.id)
                .limit(AT_ONCE)
            ).all()
        for tenant_id, import_id, key in found:
            tidied += _tidied(desk, tenant_id, import_id, str(key), now)
            last = import_id
        if len(found) < AT_ONCE:
            return tidied


def _tidied(desk: ImportDesk, tenant_id: int, import_id: int, key: str, now: datetime) -> bool:
    """Give up an import's file, then its rows; False when somebody took it up again, or it failed.

    Killed anywhere in between it leaves an import that wants its file no more and is found again
    by the next run. The file is deleted outside of both commits: stores are slow, and SQLite lets
    one write at a time.
    """
    try:
        with desk.database.tenant_session(tenant_id) as session:
            if not _let_go(session, import_id, key, now):
                return False
            session.commit()
        desk.store.delete(key)
        with desk.database.tenant_session(tenant_id) as session:
            _tidy(session, import_id, key, now)
            session.commit()
    except Exception:  # noqa: BLE001 -- the next run tries again
        _log.exception("the old import %s could not be tidied", import_id)
        return False
    return True


def _let_go(session: Session, import_id: int, key: str, now: datetime) -> bool:
    """End an import that would still read its file; False when it is not to be tidied by now."""
    found = _old(session, import_id, key, now)
    if found is None:
        return False
    if found.state in _WANTS_ITS_FILE and found.started_at is None:
        session.execute(
            update(Import)
            .where(Import.id == import_id)
            # As old as before, or a run that was killed here would be gone on with in a month.
            .values(state="cancelled", finished_at=now, updated_at=Import.updated_at)
            .execution_options(synchronize_session=False)
        )
    return True


def _tidy(session: Session, import_id: int, key: str, now: datetime) -> None:
    found = _old(session, import_id, key, now)
    if found is None:
        return  # begun again meanwhile: that takes the rows only, which are all there
    for model in (ImportRow, ImportChunk):
        session.execute(
            delete(model).where(model.import_id == import_id),
            execution_options={"synchronize_session": False},
        )
    found.storage_key = None
    if found.undo_until is not None:
        found.undo_until = min(found.undo_until, now)


def _old(session: Session, import_id: int, key: str, now: datetime) -> Import | None:
    """Return the import, locked, while it is old, at rest and has this file."""
    return session.scalar(
        select(Import)
        .where(
            Import.id == import_id,
            Import.storage_key == key,
            Import.state.not_in(MOVING),
            Import.updated_at < now - KEPT_FOR,
        )
        .with_for_update()
    )
