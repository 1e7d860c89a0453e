"""One import that makes trouble keeps no other from being tidied or begun again."""

from __future__ import annotations

from typing import Any

import pytest

from meet2be.imports import tidying
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
