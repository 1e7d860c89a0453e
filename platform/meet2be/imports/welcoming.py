"""Welcome mails: wanted once an import of people is final, and withdrawn when it is undone.

A mail is named after the person and the organisation, so nobody is welcomed twice, whether by a
list, by two of them, or by an invitation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.accounts.welcome import cancel_welcomes, welcome_many
from meet2be.imports.desk import ImportDesk
from meet2be.imports.models import ImportChunk, ImportRow
from meet2be.imports.outcomes import Written
from meet2be.imports.queries import find_import

FINAL = ("done", "done_with_errors")


def welcome_imported(desk: ImportDesk, tenant_id: int, uid: str, go_on: Callable[[], None]) -> None:
    """Have those welcomed whom a final import brought; a chunk's people in each commit.

    An import that was undone meanwhile welcomes nobody.
    """
    with desk.database.tenant_session(tenant_id, read_only=True) as session:
        found = find_import(session, uid)
        if found is None:
            return
        chunks = session.scalars(
            select(ImportChunk.n).where(ImportChunk.import_id == found.id).order_by(ImportChunk.n)
        ).all()
    for number in chunks:
        go_on()
        with desk.database.tenant_session(tenant_id) as session:
            found = find_import(session, uid)
            if found is None or found.state not in FINAL:
                return
            people = _people(session, found.id, number)
            if people:
                welcome_many(session, tenant_id, people, desk.clock.now())
                session.commit()


def _people(session: Session, import_id: int, chunk: int) -> list[int]:
    rows = session.scalars(
        select(ImportRow.before)
        .where(
            ImportRow.import_id == import_id,
            ImportRow.chunk_no == chunk,
            ImportRow.state == "created",
        )
        .order_by(ImportRow.row_no)
    )
    return [int(before["user"]) for before in rows if before is not None]


def withdraw_welcomes(session: Session, rows: Sequence[Written]) -> set[int]:
    """Withdraw the welcome mails that have not left; returns the rows of those that had."""
    people = {
        int(row.before["user"]): row.row_no for row in rows if row.before and "user" in row.before
    }
    gone = cancel_welcomes(session, list(people), "the import was undone")
    return {people[user] for user in gone}
