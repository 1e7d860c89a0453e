"""Removing what was kept for long enough: files first out of reach, then out of the store."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.exports.models import OPEN_STATES, Export
from meet2be.exports.remains import remove_file, sweep
from meet2be.exports.running import Counter, give_up
from meet2be.exports.telling import announce
from meet2be.exports.workshop import clear_leftovers
from meet2be.integrations.storage import StoreFailed
from meet2be.language import N_, Message
from meet2be.tenancy.models import Tenant

ROWS_KEPT_FOR: Final = timedelta(days=90)
"""After which the row of an export goes too: the audit log still says that there was one."""
LOST_AFTER: Final = timedelta(hours=24)
LOST: Final = Message(N_("Nobody finished this file within a day. Make it again."))
AT_ONCE: Final = 200
_log = logging.getLogger("meet2be.exports")


def expire(counter: Counter) -> int:
    """Remove the files whose time is over and rows that are old; returns how many files it was."""
    now = counter.clock.now()
    expired = 0
    for tenant_id, uid, key in _over(counter):
        if not remove_file(counter.store, key):
            continue
        with counter.database.tenant_session(tenant_id) as session:
            expired += _mark(session, uid, counter)
            session.commit()
    give_up_lost(counter)
    _forget_old(counter)
    sweep(counter.database, counter.store, now)
    clear_leftovers(counter.folder)
    try:
        counter.store.clear_leftovers(now)
    except StoreFailed as error:
        _log.warning("unfinished uploads could not be looked for: %s", error.detail)
    return expired


def give_up_lost(counter: Counter) -> int:
    """Give up exports that nobody has worked on for a day, with words; return how many.

    Their jobs were lost with a broker, or killed again and again. Those of a suspended
    organisation wait for it.
    """
    before = counter.clock.now() - LOST_AFTER
    with counter.database.system_session("exports: that are lost", read_only=True) as session:
        lost = session.execute(
            select(Export.tenant_id, Export.uid)
            .join(Tenant, Tenant.id == Export.tenant_id)
            .where(
                Export.state.in_(OPEN_STATES),
                Export.updated_at < before,
                Tenant.status != "suspended",
            )
            .order_by(Export.id)
            .limit(AT_ONCE)
        ).all()
    for tenant_id, uid in lost:
        give_up(counter, tenant_id, uid, "lost", LOST)
    return len(lost)


def _over(counter: Counter) -> list[tuple[int, str, str]]:
    with counter.database.system_session("exports: whose time is over", read_only=True) as session:
        rows = session.execute(
            select(Export.tenant_id, Export.uid, Export.storage_key)
            .where(Export.state == "ready", Export.expires_at <= counter.clock.now())
            .order_by(Export.expires_at)
            .limit(AT_ONCE)
        )
        return [(row.tenant_id, row.uid, row.storage_key) for row in rows]


def _mark(session: Session, uid: str, counter: Counter) -> int:
    ready = select(Export).where(Export.uid == uid, Export.state == "ready")
    export = session.scalar(ready.with_for_update())
    if export is None:
        return 0
    export.state = "expired"
    session.flush()
    told = {"format": export.format, "rows": export.total, "bytes": export.size}
    announce(session, export, "export.expired", told, counter.clock.now())
    return 1


def _forget_old(counter: Counter) -> None:
    before = counter.clock.now() - ROWS_KEPT_FOR
    with counter.database.system_session("exports: old rows") as session:
        old = session.scalars(
            select(Export)
            .where(Export.state.in_(("failed", "cancelled", "expired")), Export.created_at < before)
            .limit(AT_ONCE)
        )
        for export in old:
            session.delete(export)
        session.commit()
