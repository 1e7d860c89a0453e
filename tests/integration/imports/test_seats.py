"""What a list of people does to the organisation's seats, and to its last owner."""

from sqlalchemy import delete, select

from meet2be.accounts.models import User
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
