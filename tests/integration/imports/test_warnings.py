"""Cells that cannot be read: their rows are taken without them, and are shown."""

from __future__ import annotations

from sqlalchemy import select

from meet2be.accounts.models import User
from meet2be.db.keyset import Slice
from meet2be.imports.listing import rows_page
from meet2be.imports.report import rejected_lines
from support.importing import Importing

LIST = (
    "Name,E-mail,Registered at\r\n"
    "Ada,ada@example.org,31.02.2026\r\n"
    "Bob,bad address,\r\n"
    "Cy,cy@example.org,9999-12-31T23:59:59-12:00\r\n"
    "Dee,,01.03.2026\r\n"
)


def shown(rig: Importing, uid: str, state: str = "") -> list[int]:
    with rig.database.tenant_session(rig.tenant.id) as session:
        page = rows_page(session, rig.found(session, uid), state, Slice(size=50))
        return [row.row_no for row in page.rows]


def test_rows_with_cells_that_cannot_be_read_are_shown_before_and_after(any_rig: Importing) -> None:
    rig = any_rig
    uid = rig.checked(LIST)
    assert shown(rig, uid) == [2, 3, 4]
    rig.start(uid)
    assert rig.work(uid, "write") == "done"
    assert set(rig.states(uid).values()) == {"created"}
    assert shown(rig, uid) == shown(rig, uid, "warned") == [2, 3, 4]
    assert rig.counts(uid) == {"created": 4, "warned": 3}
    assert "is no moment" in rig.why(uid, 2)
    assert "no usable address" in rig.why(uid, 3)
    assert rig.undo(uid) == "undone"
    assert shown(rig, uid) == []


def test_rows_with_warnings_have_a_file_of_their_own(rig: Importing) -> None:
    uid = rig.imported(LIST)
    with rig.database.tenant_session(rig.tenant.id) as session:
        found = rig.found(session, uid)
        lines = list(rejected_lines(session, found, is_of_warnings=True))
        assert len(list(rejected_lines(session, found))) == 1
    assert [line.partition(",")[0] for line in lines[1:]] == ["Ada", "Bob", "Cy"]
    assert "no usable address" in lines[2]


def test_a_person_with_a_language_nobody_knows_is_taken_with_the_organisations_own(
    rig: Importing,
) -> None:
    rows = "E-mail,Language\na@x.example,klingon\nb@x.example,Deutsch\nc@x.example,en_GB\n"
    uid = rig.checked(rows, "users")
    assert shown(rig, uid) == [2]
    assert rig.why(uid, 2) == "Language: is no language we know. 'en-GB' is used."
    rig.start(uid)
    assert rig.work(uid, "write") == "done"
    assert shown(rig, uid) == [2], "and the reason stays with the row"
    with rig.database.system_session("look at people", read_only=True) as session:
        known = session.scalars(select(User.locale).where(User.email.like("%@x.example")))
        assert sorted(known) == ["de", "en-GB", "en-GB"]
