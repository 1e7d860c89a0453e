"""What is left of old imports: their files and rows hold data of persons and are not kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from meet2be.imports.desk import ImportDesk
from meet2be.imports.limits import KEPT_FOR
from meet2be.imports.listing import MOVING
from meet2be.imports.models import Import, ImportChunk, ImportRow

AT_ONCE = 100


def tidy_imports(desk: ImportDesk) -> int:
    """Remove the files and rows of imports that ended, or were left, long ago; return how many.

    What an import came to stays in its entry and in the audit log. One that is at work is left.
    """
    now, tidied = desk.clock.now(), 0
    while True:
        with desk.database.system_session("tidy: what old imports left", read_only=True) as look:
            found = look.execute(
                select(Import.tenant_id, Import.id)
                .where(
                    Import.storage_key.is_not(None),
                    Import.state.not_in(MOVING),
                    Import.updated_at < now - KEPT_FOR,
                )
                .limit(AT_ONCE)
            ).all()
        for tenant_id, import_id in found:
            with desk.database.tenant_session(tenant_id) as session:
                _tidy(desk, session, import_id, now)
                session.commit()
            tidied += 1
        if len(found) < AT_ONCE:
            return tidied


def _tidy(desk: ImportDesk, session: Session, import_id: int, now: datetime) -> None:
    found = session.get_one(Import, import_id, with_for_update=True)
    if found.storage_key is None or found.state in MOVING:
        return
    for model in (ImportRow, ImportChunk):
        session.execute(
            delete(model).where(model.import_id == import_id),
            execution_options={"synchronize_session": False},
        )
    desk.store.delete(found.storage_key)
    found.storage_key = None
    if found.undo_until is not None:
        found.undo_until = min(found.undo_until, now)
    if found.state in {"uploaded", "mapped", "validated"}:
        found.state, found.finished_at = "cancelled", now
