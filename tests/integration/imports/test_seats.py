"""What a list of people does to the organisation's seats, and to its last owner."""

import pytest
from sqlalchemy import delete, select

from meet2be.accounts.models import User
from meet2be.imports import lists, seats
from meet2be.imports.lists import read_list
from meet2be.tenancy.limits import set_limits
from meet2be.tenancy.models import Membership, Tenant
from support.importing import Importing

PEOPLE = "E-mail\n" + "".join(f"p{number}@example.org\n" for number in range(4))


def allow(rig: Importing, members: int) -> None:
    with rig.database.tenant_session(rig.tenant.id) as session:
        set_limits(session.scalars(select(Tenant)).one(), {"members": members})
        session.commit()


def test_people_beyond_the_limit_are_refused_in_words_and_taken_by_another_try(
    any_rig: Importing,
) -> None:
    rig = any_rig
    allow(rig, 3)  # the importer has one of them
    uid = rig.checked(PEOPLE, "users")
    assert set(rig.states(uid).values()) == {"valid"}
    assert rig.why(uid, 3) == ""
    assert "may have 3 members" in rig.why(uid, 4)
    rig.start(uid)
    assert rig.work(uid, "write") == "done_with_errors"
    assert rig.states(uid) == {2: "created", 3: "created", 4: "failed", 5: "failed"}
    assert rig.why(uid, 5).startswith("E-mail: finds no seat: your organisation may have 3 members")
    allow(rig, 4)
    rig.retry(uid)
    rig.work(uid, "write")
    assert rig.states(uid) == {2: "created", 3: "created", 4: "created", 5: "failed"}


def test_seats_are_counted_across_the_parts_of_a_list(
    any_rig: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = any_rig
    monkeypatch.setattr(seats, "ROWS_A_COMMIT", 2)
    monkeypatch.setattr(lists, "CHUNK_ROWS", 2)
    allow(rig, 4)
    again = f"E-mail\n{rig.user.email}\na@x.example\nA@x.example\n"
    uid = rig.checked(again + PEOPLE.partition("\n")[2], "users")
    lacking = [number for number in rig.states(uid) if "finds no seat" in rig.why(uid, number)]
    assert lacking == [7, 8], "the third and fourth of the new ones"
    assert rig.counts(uid)["warned"] == 2
    assert rig.rows(uid)[8].state == "valid", "there may be more seats by then"


def test_a_count_of_seats_that_was_killed_begins_anew(
    rig: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seats, "ROWS_A_COMMIT", 2)
    allow(rig, 1)
    uid = rig.upload(PEOPLE.replace("\n", ",Language\n", 1).replace("org\n", "org,klingon\n"),
                     "users")  # fmt: skip
    rig.map(uid)
    turn = rig.row(uid).turn
    read_list(rig.desk, rig.tenant.id, uid, turn, lambda: None)
    rig.work(uid, "check", [1])
    for _ in range(2):
        assert seats.warn_of_seats(rig.desk, rig.tenant.id, uid, turn) == 4
    assert [len(row.errors or []) for row in rig.rows(uid).values()] == [2, 2, 2, 2]
    assert rig.counts(uid) == {"valid": 4, "warned": 4}
    assert seats.warn_of_seats(rig.desk, rig.tenant.id, uid, turn - 1) == 0


def test_who_is_a_member_already_needs_no_further_seat(rig: Importing) -> None:
    allow(rig, 2)
    text = f"E-mail,Role\n{rig.user.email},viewer\na@example.org,viewer\nA@example.org,viewer\n"
    uid = rig.imported(text, "users")
    assert rig.states(uid) == {2: "skipped", 3: "created", 4: "dup_in_file"}


def test_the_last_owner_stays_when_the_list_is_taken_back(rig: Importing) -> None:
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.scalars(select(Membership)).one().role = "owner"
        session.commit()
    uid = rig.imported("E-mail,Role\nb@example.org,owner\nc@example.org,owner\n", "users")
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.execute(delete(Membership).where(Membership.user_id == rig.user.id))
        session.commit()
    rig.undo(uid)
    assert rig.states(uid) == {2: "undone", 3: "kept"}
    assert "last owner" in rig.why(uid, 3)
    with rig.database.tenant_session(rig.tenant.id) as session:
        owners = select(User.email).join(Membership).where(Membership.role == "owner")
        assert list(session.scalars(owners)) == ["c@example.org"]
