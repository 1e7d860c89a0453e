"""Who of a list of people finds no seat: counted across all chunks once every row is checked.

The first of the list get what there is. A row keeps its state, as there may be more seats by the
time the list is written; it gets a warning. Marked in commits of a thousand, so a run that was
killed begins anew: what was marked before is marked the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from meet2be.accounts.members import seats_taken
from meet2be.imports.desk import ImportDesk
from meet2be.imports.errors import packed
from meet2be.imports.models import Import
from meet2be.imports.people_rows import no_seat
from meet2be.imports.queries import ROWS, find_import, recount
from meet2be.tenancy.limits import limit_of

ROWS_A_COMMIT: Final = 1_000
_WARN: Final = (
    update(ROWS)
    .where(
        ROWS.c.tenant_id == bindparam("of_tenant"),
        ROWS.c.import_id == bindparam("of_import"),
        ROWS.c.row_no == bindparam("of_row"),
    )
    .values(errors=bindparam("all_of_it"), warned=True)
)


def warn_of_seats(desk: ImportDesk, tenant_id: int, uid: str, turn: int) -> int:
    """Warn in each row for whom there is no seat as it stands; return how many these are."""
    warned = last = 0
    while True:
        with desk.database.tenant_session(tenant_id) as session:
            found = find_import(session, uid)
            if found is None or found.turn != turn or found.state != "validating":
                return warned
            if found.kind != "users":
                return 0
            most = limit_of(session, "members")
            # The first of the list have the seats; from then on it is one row after the other.
            seated = 0 if last else max(0, most - seats_taken(session))
            part = session.connection().execute(_without_seat(found, last, seated)).all()
            if not part:
                return warned
            _warn(session, found, part, packed(no_seat(most)))
            session.commit()
        warned, last = warned + len(part), part[-1].row_no


def _without_seat(found: Import, last: int, seated: int) -> Any:
    columns = (ROWS.c.row_no, ROWS.c.chunk_no, ROWS.c.label, ROWS.c.errors)
    return (
        select(*columns)
        .where(
            ROWS.c.tenant_id == found.tenant_id,
            ROWS.c.import_id == found.id,
            ROWS.c.row_no > last,
            ROWS.c.state == "valid",
            ROWS.c.entity_id.is_(None),  # whoever is here already needs no further seat
        )
        .order_by(ROWS.c.row_no)
        .offset(seated)
        .limit(ROWS_A_COMMIT)
    )


def _warn(session: Session, found: Import, part: Sequence[Any], why: dict[str, Any]) -> None:
    owner = {"of_tenant": found.tenant_id, "of_import": found.id}
    session.connection().execute(
        _WARN,
        [
            owner
            | {"of_row": row.row_no, "all_of_it": [*_others(row.errors, why), _note(row, why)]}
            for row in part
        ],
    )
    recount(session, found, sorted({row.chunk_no for row in part}))


def _others(errors: Sequence[dict[str, Any]] | None, why: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in errors or () if each["why"]["sentence"] != why["sentence"]]


def _note(row: Any, why: dict[str, Any]) -> dict[str, Any]:
    return {"column": "", "value": row.label[:80], "severity": "warning", "why": why}
