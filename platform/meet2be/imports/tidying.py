"""Imports that nobody works on any more: the stuck are begun again, the old are forgotten."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, exists, select
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
    try:
        # Before anything is written: stores are slow, and SQLite lets one write at a time.
        desk.store.delete(key)
        with desk.database.tenant_session(tenant_id) as session:
            _tidy(session, import_id, now)
            session.commit()
    except Exception:  # noqa: BLE001 -- the next run tries again
        _log.exception("the old import %s could not be tidied", import_id)
        return False
    return True


def _tidy(session: Session, import_id: int, now: datetime) -> None:
    found = session.get_one(Import, import_id, with_for_update=True)
    if found.storage_key is None or found.state in MOVING:
        return
    for model in (ImportRow, ImportChunk):
        session.execute(
            delete(model).where(model.import_id == import_id),
            execution_options={"synchronize_session": False},
        )
    found.storage_key = None
    if found.undo_until is not None:
        found.undo_until = min(found.undo_until, now)
    if found.state in {"uploaded", "mapped", "validated"}:
        found.state, found.finished_at = "cancelled", now
