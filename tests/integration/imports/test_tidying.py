"""One import that makes trouble keeps no other from being tidied or begun again."""

from __future__ import annotations

from typing import Any

import pytest

from meet2be.imports import tidying
from meet2be.imports.closing import end_step
from meet2be.imports.errors import WrongState
from meet2be.imports.models import Import
from meet2be.imports.tidying import tidy_imports, wake_imports
from meet2be.integrations.storage import StoreFailed
from meet2be.language import Message
from onqueue.testing.clock import FakeClock
from support.importing import PEOPLE, Importing

ADA = "Ada,ada@example.org,\r\n"


def test_a_file_that_cannot_be_deleted_keeps_no_other(
    rig: Importing, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = rig.checked(PEOPLE + ADA), rig.checked(PEOPLE + ADA)
    clock.advance(31 * 24 * 3600)
    delete = rig.desk.store.delete

    def refuses(key: str) -> bool:
        if key == rig.row(stuck).storage_key:
            raise StoreFailed(Message("No."), detail="AccessDenied", is_temporary=False)
        return delete(key)

    with monkeypatch.context() as patched:
        patched.setattr(type(rig.desk.store), "delete", lambda _store, key: refuses(key))
        assert tidy_imports(rig.desk) == 1
    assert rig.row(other).storage_key is None
    assert rig.row(stuck).storage_key is not None
    assert tidy_imports(rig.desk) == 1, "the next run tries it again"


def test_one_that_cannot_be_begun_again_keeps_no_other(
    rig: Importing, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = rig.checked(PEOPLE + ADA), rig.checked(PEOPLE + "Bob,b@example.org,\r\n")
    rig.start(first)
    rig.start(second)
    clock.advance(46 * 60)
    begin = tidying._begin_again

    def broken(desk: Any, tenant_id: int, uid: str, turn: int) -> None:
        if uid == first:
            raise RuntimeError("the row is odd")
        begin(desk, tenant_id, uid, turn)

    turn = rig.row(second).turn
    monkeypatch.setattr(tidying, "_begin_again", broken)
    assert wake_imports(rig.desk) == 1
    found: Import = rig.row(second)
    assert found.turn == turn + 1


@pytest.mark.parametrize("state", ["validated", "failed"])
def test_a_run_killed_after_the_file_went_leaves_an_import_that_wants_none(
    any_rig: Importing, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    rig = any_rig
    uid = rig.checked(PEOPLE + ADA if state == "validated" else PEOPLE)
    assert rig.row(uid).state == state
    clock.advance(31 * 24 * 3600)
    with monkeypatch.context() as patched:
        patched.setattr(tidying, "_tidy", _killed)
        with pytest.raises(KeyboardInterrupt):
            tidy_imports(rig.desk)
    assert rig.row(uid).state == "cancelled"
    with pytest.raises(WrongState):
        rig.map(uid)
    assert tidy_imports(rig.desk) == 1, "the next run ends what this one began"
    assert rig.row(uid).storage_key is None
    assert rig.rows(uid) == {}


def test_an_import_that_was_taken_up_meanwhile_keeps_its_file(
    any_rig: Importing, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = any_rig
    uid = rig.checked(PEOPLE + ADA)
    clock.advance(31 * 24 * 3600)
    let_go = tidying._let_go

    def later(*given: Any) -> bool:
        rig.map(uid)
        return let_go(*given)

    monkeypatch.setattr(tidying, "_let_go", later)
    assert tidy_imports(rig.desk) == 0
    assert rig.check(uid) == "validated"
    assert set(rig.states(uid).values()) == {"valid"}


def test_an_import_that_is_gone_on_with_while_its_file_goes_keeps_its_rows(
    any_rig: Importing, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = any_rig
    uid = rig.checked(PEOPLE + ADA)
    rig.start(uid)
    rig.cancel(uid)
    rig.work(uid, "write", [])
    end_step(rig.desk, rig.tenant.id, uid, rig.row(uid).turn, "write")
    assert rig.row(uid).state == "cancelled"
    clock.advance(31 * 24 * 3600)
    delete = rig.desk.store.delete

    def slow(_store: object, key: str) -> bool:
        rig.retry(uid)
        return delete(key)

    with monkeypatch.context() as patched:
        patched.setattr(type(rig.desk.store), "delete", slow)
        tidy_imports(rig.desk)
    assert rig.work(uid, "write") == "done"
    assert rig.count() == 1


def _killed(*_given: object) -> None:
    raise KeyboardInterrupt
