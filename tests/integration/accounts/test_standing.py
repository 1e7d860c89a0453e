"""What becomes of the invitations around somebody who leaves or has another role."""

import pytest
from sqlalchemy import select, update

from meet2be.accounts import invitations
from meet2be.accounts.invitations import TooManyInvitations
from meet2be.accounts.tokens import TokenRefused
from meet2be.audit.models import AuditEntry
from meet2be.db import Database
from meet2be.tenancy.models import Invitation, Membership
from onqueue.testing.clock import FakeClock
from support.inviting import Inviting, inviting


@pytest.fixture
def aurora(sqlite_database: Database, clock: FakeClock) -> Inviting:
    return inviting(sqlite_database, clock)


def open_to(aurora: Inviting) -> set[str]:
    with aurora.database.tenant_session(aurora.tenant.id) as session:
        found = select(Invitation.email).where(Invitation.withdrawn_at.is_(None))
        return set(session.scalars(found))


def test_who_is_removed_leaves_no_invitation_behind(aurora: Inviting) -> None:
    owner, admin = aurora.member("owner"), aurora.member("admin")
    by_admin = aurora.invite(admin, "admin", "friend@example.org", "admin")
    other = aurora.invite(owner, "owner", "kim@example.org", "viewer")
    aurora.remove(admin, by=owner)
    with pytest.raises(TokenRefused):
        aurora.join(by_admin)
    assert open_to(aurora) == {"kim@example.org"}
    assert aurora.join(other).status == "active"
    with aurora.database.tenant_session(aurora.tenant.id) as session:
        withdrawn = select(AuditEntry).where(AuditEntry.action == "member.invitation_withdrawn")
        assert [each.reason for each in session.scalars(withdrawn)] == ["the person was removed"]


def test_who_is_removed_does_not_come_back_by_an_older_invitation(aurora: Inviting) -> None:
    owner = aurora.member("owner")
    secret = aurora.invite(owner, "owner", "lou@example.org", "admin")
    lou = aurora.member("viewer", email="lou@example.org", status="invited")  # by a list meanwhile
    aurora.remove(lou, by=owner)
    with pytest.raises(TokenRefused):
        aurora.join(secret)


def test_another_role_withdraws_what_it_may_not_give(aurora: Inviting) -> None:
    owner, second = aurora.member("owner"), aurora.member("owner")
    for role in ("owner", "admin", "viewer"):
        aurora.invite(second, "owner", f"{role}@example.org", role)
    aurora.change_role(second, "admin", by=owner)
    assert open_to(aurora) == {"admin@example.org", "viewer@example.org"}
    aurora.change_role(second, "organiser", by=owner)
    assert open_to(aurora) == set()


def test_a_link_is_asked_again_whether_who_invited_still_could(aurora: Inviting) -> None:
    aurora.member("owner")
    admin, operator = aurora.member("admin"), aurora.member("viewer", is_operator=True)
    by_admin = aurora.invite(admin, "admin", "friend@example.org", "organiser")
    by_operator = aurora.invite(operator, "owner", "boss@example.org", "owner")
    with aurora.database.tenant_session(aurora.tenant.id) as session:  # as an import does it
        session.execute(update(Membership).where(Membership.role == "admin").values(role="viewer"))
        session.commit()
    with pytest.raises(TokenRefused):
        aurora.join(by_admin)
    assert aurora.join(by_operator).status == "active"


def test_mails_are_counted_not_invitations(
    aurora: Inviting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "MOST_A_DAY", 3)
    owner = aurora.member("owner")
    aurora.invite(owner, "owner", "kim@example.org", "viewer")
    aurora.resend(owner, "owner", "kim@example.org")
    aurora.resend(owner, "owner", "kim@example.org")
    with pytest.raises(TooManyInvitations):
        aurora.resend(owner, "owner", "kim@example.org")
    aurora.clock.advance(86_401)
    aurora.resend(owner, "owner", "kim@example.org")
