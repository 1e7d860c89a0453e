"""Going on with what a suspension of the organisation stopped: a writing, or an undo.

Whoever comes second sets it going: the lifting of the suspension takes the imports that have ended
by then, and a step that ends when it is lifted already goes on by itself. Both look at the tenant
under its lock, so neither leaves it to the other.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.audit.services import SYSTEM, Actor
from meet2be.imports.errors import packed
from meet2be.imports.models import Import
from meet2be.imports.preparing import SUSPENDED, UNDO_SUSPENDED
from meet2be.imports.services import undo_rest, write_rest
from meet2be.tenancy.models import Tenant

_ENDED = ("cancelled", "failed", "done_with_errors")


def resume_suspended(session: Session, actor: Actor) -> int:
    """Set going the imports and undos that the suspension stopped; return how many.

    The session's tenant is locked and active. An undo goes on however long it was held up, as it
    was begun in its time; what was tidied away meanwhile has no rows to go on with.
    """
    stopped = session.scalars(
        select(Import)
        .where(
            Import.state.in_(_ENDED),
            Import.started_at.is_not(None),
            Import.storage_key.is_not(None),
        )
        .order_by(Import.id)
        .with_for_update()
    ).all()
    return sum(_go_on(session, found, actor) for found in stopped)


def goes_on(session: Session, found: Import) -> bool:
    """Set a step that ends going again when the suspension that stopped it is lifted by now.

    The import is locked; tells whether it goes on.
    """
    if found.error not in (packed(SUSPENDED), packed(UNDO_SUSPENDED)):
        return False
    # Whoever lifts a suspension holds this row: from here on they see the import as it is then.
    status = session.scalar(select(Tenant.status).with_for_update(read=True))
    return status == "active" and _go_on(session, found, SYSTEM)


def _go_on(session: Session, found: Import, actor: Actor) -> bool:
    if found.error == packed(UNDO_SUSPENDED):
        undo_rest(session, found, actor)
    elif found.error == packed(SUSPENDED):
        write_rest(session, found, actor)
    else:
        return False
    return True
