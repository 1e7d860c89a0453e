"""Rows that repeat others of their list: found across all chunks once every row is checked.

They are read in one stream and marked in commits of a thousand, each with its chunks' counts, so
that a list of nothing but repetitions neither fills memory nor holds the database's lock for long.
A run that was killed is gone on with: what is marked is no longer found.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any, Final

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import Session

from meet2be.imports.desk import ImportDesk
from meet2be.imports.errors import packed
from meet2be.imports.models import Import
from meet2be.imports.queries import ROWS, UPDATE_ROW, find_import, recount
from meet2be.language import Message

ROWS_A_COMMIT: Final = 1_000
_MARK: Final = UPDATE_ROW.values(
    state="dup_in_file",
    repeats=bindparam("first"),
    errors=bindparam("why"),
    entity_id=None,
    warned=False,
)


def mark_repeats(desk: ImportDesk, tenant_id: int, uid: str, turn: int) -> int:
    """Let the first row about somebody win, across all chunks; return how many others there are."""
    marked = 0
    with closing(_repeats(desk, tenant_id, uid, turn)) as parts:
        for part in parts:
            with desk.database.tenant_session(tenant_id) as session:
                found = find_import(session, uid)
                if found is None or not _is_checked(found, turn):
                    return marked
                _mark(session, found, part)
                session.commit()
            marked += len(part)
    return marked


def _is_checked(found: Import, turn: int) -> bool:
    return found.turn == turn and found.state == "validating"


def _repeats(desk: ImportDesk, tenant_id: int, uid: str, turn: int) -> Generator[Sequence[Any]]:
    with desk.database.tenant_session(tenant_id, read_only=True) as session:
        found = find_import(session, uid)
        if found is not None and _is_checked(found, turn):
            with session.connection().execute(
                _statement(found), execution_options={"yield_per": ROWS_A_COMMIT}
            ) as rows:
                yield from rows.partitions()


def _statement(found: Import) -> Select[Any]:
    mine = (ROWS.c.tenant_id == found.tenant_id, ROWS.c.import_id == found.id)
    firsts = (
        select(ROWS.c.claim, func.min(ROWS.c.row_no).label("first"))
        .where(
            *mine,
            ROWS.c.claim.is_not(None),
            ROWS.c.state.in_(("valid", "skipped", "dup_existing", "dup_in_file")),
        )
        .group_by(ROWS.c.claim)
        .having(func.count() > 1)
        .subquery()
    )
    return (
        select(ROWS.c.row_no, ROWS.c.chunk_no, ROWS.c.label, firsts.c.first)
        .join(firsts, firsts.c.claim == ROWS.c.claim)
        .where(*mine, ROWS.c.row_no > firsts.c.first, ROWS.c.state == "valid")
        .order_by(ROWS.c.row_no)
    )


def _mark(session: Session, found: Import, part: Sequence[Any]) -> None:
    owner = {"of_tenant": found.tenant_id, "of_import": found.id}
    session.connection().execute(
        _MARK,
        [
            owner | {"of_row": row_no, "first": first, "why": [_why(label, first)]}
            for row_no, _chunk, label, first in part
        ],
    )
    recount(session, found, sorted({chunk for _row, chunk, _label, _first in part}))


def _why(label: str, first: int) -> dict[str, Any]:
    why = packed(Message("repeats row %(row)s: the same address.", {"row": first}))
    return {"column": "", "value": label[:80], "severity": "refused", "why": why}
