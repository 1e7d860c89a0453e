"""Rows that repeat others, marked a part at a time."""

from __future__ import annotations

import pytest

from meet2be.imports import repeats
from meet2be.imports.closing import end_step
from meet2be.imports.lists import read_list
from meet2be.imports.repeats import mark_repeats
from support.importing import PEOPLE, Importing


def test_repeats_are_marked_in_commits_of_a_part_and_gone_on_with_after_a_kill(
    any_rig: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "ROWS_A_COMMIT", 10)
    people = "".join(f"P{n},p{n}@example.org,\r\n" for n in range(300))
    again = "".join(f"Q{n},P{n}@EXAMPLE.ORG,\r\n" for n in range(290))
    uid = any_rig.upload(PEOPLE + people + "".join(f"F{n},f{n}@x.example,\r\n" for n in range(200))
                         + again)  # fmt: skip
    any_rig.map(uid)
    turn = any_rig.row(uid).turn
    assert read_list(any_rig.desk, any_rig.tenant.id, uid, turn, lambda: None)
    any_rig.work(uid, "check", [1, 2])
    marked = repeats._mark
    parts: list[int] = []

    def killed(*given: object) -> None:
        if len(parts) == 3:
            raise SystemExit
        parts.append(1)
        marked(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(repeats, "_mark", killed)
        with pytest.raises(SystemExit):
            end_step(any_rig.desk, any_rig.tenant.id, uid, turn, "check")
    assert any_rig.counts(uid) == {"valid": 760, "dup_in_file": 30}
    assert mark_repeats(any_rig.desk, any_rig.tenant.id, uid, turn - 1) == 0
    assert end_step(any_rig.desk, any_rig.tenant.id, uid, turn, "check")
    assert any_rig.counts(uid) == {"valid": 500, "dup_in_file": 290}
    assert any_rig.why(uid, 502) == ": repeats row 2: the same address."
