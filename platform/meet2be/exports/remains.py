"""What exports leave behind when they are deleted or come to nothing, until it is removed.

Whoever removes a file at once may be refused by the store, and a worker may be writing it this
very moment. So its key is noted in the commit that gives the export up, and swept later.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from meet2be.db import Database
from meet2be.exports.models import OPEN_STATES, Export, ExportRemains
from meet2be.integrations.storage import Store, StoreFailed

COUNTED_FOR: Final = timedelta(days=30)
"""How long rows count against the tenant's limit of exported rows."""
WRITTEN_FOR: Final = timedelta(hours=2)
"""Longer than the job of an export may run: nobody writes its file any more."""
AT_ONCE: Final = 200
_log = logging.getLogger("meet2be.exports")


def leave(session: Session, export: Export, now: datetime, *, rows: int = 0) -> None:
    """Note that an export's file is to be removed, and the rows that count on without its entry."""
    is_quiet = export.state in {"ready", "expired"}
    session.add(
        ExportRemains(
            storage_key=export.storage_key,
            rows=rows,
            asked_at=export.created_at,
            remove_at=now if is_quiet else now + WRITTEN_FOR,
        )
    )


def rows_left(session: Session, now: datetime) -> int:
    """Return how many rows the tenant's deleted exports had in the last 30 days."""
    wanted = select(func.sum(ExportRemains.rows)).where(ExportRemains.asked_at > now - COUNTED_FOR)
    return int(session.scalar(wanted) or 0)


def counted_rows(export: Export) -> int:
    """Return the rows an export counts: those it is to have while it is open, else it had."""
    return max(export.total, export.done) if export.state in OPEN_STATES else export.done


def remove_file(store: Store, key: str) -> bool:
    """Remove a file as far as the store lets us; what it says is logged, and the sweep comes."""
    try:
        store.delete(key)
    except StoreFailed as error:
        _log.warning("the file '%s' could not be deleted: %s", key, error.detail)
        return False
    return True


def sweep(database: Database, store: Store, now: datetime) -> int:
    """Remove files that were left, and forget what counts no more; return how many files."""
    with database.system_session("exports: files that were left", read_only=True) as session:
        due = session.execute(
            select(ExportRemains.tenant_id, ExportRemains.id, ExportRemains.storage_key)
            .where(ExportRemains.remove_at <= now)
            .order_by(ExportRemains.remove_at)
            .limit(AT_ONCE)
        ).all()
    removed = 0
    for tenant_id, number, key in due:
        # One that cannot be removed goes to the end of the line.
        done = remove_file(store, key)
        with database.tenant_session(tenant_id) as session:
            session.execute(
                update(ExportRemains)
                .where(ExportRemains.id == number)
                .values(remove_at=None if done else now + WRITTEN_FOR)
                .execution_options(synchronize_session=False)
            )
            session.commit()
        removed += done
    _forget(database, now)
    return removed


def _forget(database: Database, now: datetime) -> None:
    counts_no_more = or_(ExportRemains.rows == 0, ExportRemains.asked_at <= now - COUNTED_FOR)
    with database.system_session("exports: remains that count no more") as session:
        session.execute(
            delete(ExportRemains)
            .where(ExportRemains.remove_at.is_(None), counts_no_more)
            .execution_options(synchronize_session=False)
        )
        session.commit()
