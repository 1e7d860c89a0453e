"""What two tabs, or a job that runs twice, must not do to an import."""

from __future__ import annotations

import io
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from meet2be.audit.services import SYSTEM
from meet2be.imports import services as verbs
from meet2be.imports.closing import end_step
from meet2be.imports.detection import Layout
from meet2be.imports.errors import WrongState
from meet2be.imports.lists import read_list
from meet2be.imports.models import Import, ImportChunk, ImportMapping
from support.importing import PEOPLE, Importing

ADA = "Ada,ada@example.org,\r\n"


def test_a_tab_that_is_late_changes_nothing_of_a_run(rig: Importing) -> None:
    uid = rig.checked(PEOPLE + ADA)
    seen = rig.row(uid)
    rig.start(uid)
    with rig.database.tenant_session(rig.tenant.id) as late:
        found = late.merge(seen, load=False)
        with pytest.raises(WrongState, match="running"):
            verbs.set_mapping(late, found, seen.mapping, {}, SYSTEM, rig.user.id)
        late.rollback()
        found = late.merge(seen, load=False)
        with pytest.raises(WrongState, match="running"):
            verbs.set_layout(late, rig.desk.store, found, Layout())
    assert rig.work(uid, "write") == "done"


def test_a_layout_is_not_kept_where_the_run_began_while_the_file_was_read(
    rig: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = rig.checked(PEOPLE + ADA)
    read = verbs._header
    with rig.database.tenant_session(rig.tenant.id) as session:
        found = rig.found(session, uid)

        def slow(*given: Any) -> Any:
            session.connection().execute(
                update(Import.__table__).values(state="running")  # type: ignore[arg-type]
            )
            return read(*given)

        monkeypatch.setattr(verbs, "_header", slow)
        with pytest.raises(WrongState, match="running"):
            verbs.set_layout(session, rig.desk.store, found, Layout())


def test_two_lists_with_one_header_are_mapped_at_once(
    rig: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = rig.upload(PEOPLE + ADA), rig.upload(PEOPLE + ADA)
    rig.map(first)
    known = verbs._known
    looks: list[int] = []

    def late(*given: Any) -> Any:
        looks.append(1)
        return None if len(looks) == 1 else known(*given)

    monkeypatch.setattr(verbs, "_known", late)
    suggested = rig.row(second).mapping
    suggested.pop("company")
    rig.map(second, suggested | {"name": {"column": 2}})
    with rig.database.tenant_session(rig.tenant.id, read_only=True) as session:
        kept = session.scalars(select(ImportMapping)).one()
    assert kept.mapping["name"] == {"column": 2}


def test_a_reading_that_is_delivered_again_leaves_the_checked_rows(rig: Importing) -> None:
    uid = rig.upload(PEOPLE + ADA)
    rig.map(uid)
    turn = rig.row(uid).turn
    assert read_list(rig.desk, rig.tenant.id, uid, turn, lambda: None)
    rig.work(uid, "check", [1])
    assert not read_list(rig.desk, rig.tenant.id, uid, turn, lambda: None)
    assert end_step(rig.desk, rig.tenant.id, uid, turn, "check")
    assert rig.row(uid).state == "validated"
    assert rig.counts(uid) == {"valid": 1}


def test_a_check_without_chunks_is_no_success(rig: Importing) -> None:
    uid = rig.upload(PEOPLE + ADA)
    rig.map(uid)
    turn = rig.row(uid).turn
    assert read_list(rig.desk, rig.tenant.id, uid, turn, lambda: None)
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.execute(delete(ImportChunk))
        session.commit()
    assert end_step(rig.desk, rig.tenant.id, uid, turn, "check")
    assert rig.row(uid).state == "failed"
    assert "could not be checked" in rig.error(uid)


def test_an_upload_that_cannot_be_noted_leaves_no_file(
    rig: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: Any, **_more: Any) -> None:
        raise RuntimeError("the database is gone")

    monkeypatch.setattr(verbs, "record", broken)
    deleted: list[str] = []
    monkeypatch.setattr(type(rig.desk.store), "delete", lambda _self, key: deleted.append(key))
    with rig.database.tenant_session(rig.tenant.id) as session:
        given = verbs.Upload("users", io.BytesIO(b"E-mail\nada@example.org\n"), "l.csv", None)
        with pytest.raises(RuntimeError, match="the database is gone"):
            verbs.upload(session, rig.desk.store, given, SYSTEM)
        session.rollback()
        assert session.scalar(select(Import.id)) is None
    assert len(deleted) == 1


def test_nobody_waits_while_a_file_is_stored_and_read(
    rig: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []

    def others_write(*_given: Any) -> None:
        with rig.database.tenant_session(rig.tenant.id) as other:
            other.execute(update(ImportMapping).values(kind="users"))
            other.commit()
        waited.append("not at all")

    read = verbs._header

    def slow(*given: Any) -> Any:
        others_write()
        return read(*given)

    monkeypatch.setattr(verbs, "_header", slow)
    content = io.BytesIO(b"E-mail\nada@example.org\n")
    given = verbs.Upload("users", content, "l.csv", rig.user.id, None, rig.tenant.uid)
    with rig.database.tenant_session(rig.tenant.id) as session:
        uid = verbs.upload(session, rig.desk.store, given, SYSTEM).uid
        session.commit()
    with (
        rig.database.tenant_session(rig.tenant.id, read_only=True) as looking,
        rig.database.tenant_session(rig.tenant.id) as session,
    ):
        seen = rig.found(looking, uid)
        changed = verbs.set_layout(session, rig.desk.store, seen, Layout(header_row=0))
        session.commit()
        assert changed.layout["header_row"] == 0
    assert waited == ["not at all"] * 2
