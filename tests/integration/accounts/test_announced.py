"""What endpoints are told of people: who was invited, came, changed and went, without names."""

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.db import Database
from meet2be.tenancy.models import Membership
from meet2be.webhooks.catalogue import TYPES
from meet2be.webhooks.models import WebhookEvent
from onqueue.testing.clock import FakeClock
from support.hooks import make_endpoint
from support.importing import Importing, importing
from support.inviting import Inviting, inviting


@pytest.fixture
def aurora(sqlite_database: Database, clock: FakeClock) -> Inviting:
    return inviting(sqlite_database, clock)


def told(database: Database, tenant_id: int, prefix: str = "member.") -> list[WebhookEvent]:
    with database.tenant_session(tenant_id) as session:
        wanted = select(WebhookEvent).where(WebhookEvent.type.startswith(prefix))
        return list(session.scalars(wanted.order_by(WebhookEvent.id)))


def test_endpoints_hear_who_is_invited_joins_changes_and_leaves(aurora: Inviting) -> None:
    owner = aurora.member("owner")
    make_endpoint(aurora.database, aurora.tenant.id)
    nora = aurora.join(aurora.invite(owner, "owner", "nora@example.org", "viewer"))
    aurora.change_role(nora, "admin", by=owner)
    aurora.remove(nora, by=owner)
    found = told(aurora.database, aurora.tenant.id)
    assert [(each.type, each.subject_type, each.data) for each in found] == [
        ("member.invited", "invitation", {"role": "viewer"}),
        ("member.joined", "member", {"role": "viewer"}),
        ("member.role_changed", "member", {"role": "admin", "before": "viewer"}),
        ("member.removed", "member", {"role": "admin"}),
    ]
    assert {each.subject_uid for each in found[1:]} == {nora.uid}
    assert all(set(TYPES[each.type].sample) == set(each.data) for each in found)
    assert "nora" not in json.dumps([each.data for each in found]).lower()


def test_who_comes_back_and_leaves_again_is_told_again(aurora: Inviting) -> None:
    owner, person = aurora.member("owner"), aurora.member("viewer")
    only = ["member.removed"]
    make_endpoint(aurora.database, aurora.tenant.id, all_types=False, event_types=only)
    aurora.remove(person, by=owner)
    with aurora.database.tenant_session(aurora.tenant.id) as session:
        session.add(Membership(user_id=person.id, role="viewer"))
        session.commit()
    aurora.remove(person, by=owner)
    assert [each.subject_uid for each in told(aurora.database, aurora.tenant.id)] == [
        person.uid
    ] * 2


def test_people_of_a_list_are_told_like_others(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    rig: Importing = importing(sqlite_database, clock, tmp_path)
    make_endpoint(sqlite_database, rig.tenant.id)
    rig.imported("E-mail,Role\na@example.org,viewer\nb@example.org,viewer\n", "users")
    rig.imported("E-mail,Role\na@example.org,organiser\n", "users", duplicates="update")
    found = told(sqlite_database, rig.tenant.id)
    assert [(each.type, each.data) for each in found] == [
        ("member.joined", {"role": "viewer"}),
        ("member.joined", {"role": "viewer"}),
        ("member.role_changed", {"role": "organiser", "before": "viewer"}),
    ]
