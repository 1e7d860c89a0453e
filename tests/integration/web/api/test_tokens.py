"""A token may no more than its person, now: with another role, or without one."""

from datetime import timedelta

from sqlalchemy import delete, update

from meet2be.accounts.models import User
from meet2be.tenancy.models import Membership, Tenant
from onqueue.testing.clock import FakeClock
from support.api import program, program_of
from support.factories import make_tenant, make_user
from support.stage import Stage


def test_a_token_shrinks_with_its_person_and_ends_with_the_membership(stage: Stage) -> None:
    admin = program(stage.web, stage.conference.tenant)
    assert admin.ask("GET", "/cancellations").status_code == 200
    database = stage.web.services.database
    with database.system_session("tests") as session:
        session.execute(
            update(Membership).where(Membership.user_id == admin.user.id).values(role="viewer")
        )
        session.commit()
    assert "cancellations:write" not in admin.get("/me")["scopes"]
    refused = admin.post("/cancellations/" + "0" * 26 + "/pause")
    assert (refused.status_code, refused.get_json()["scope"]) == (403, "cancellations:write")
    with database.system_session("tests") as session:
        session.execute(delete(Membership).where(Membership.user_id == admin.user.id))
        session.commit()
    assert admin.ask("GET", "/me").status_code == 401


def test_a_disabled_person_s_token_is_no_token(stage: Stage) -> None:
    admin = program(stage.web, stage.conference.tenant)
    with stage.web.services.database.system_session("tests") as session:
        session.execute(update(User).where(User.id == admin.user.id).values(status="disabled"))
        session.commit()
    assert admin.ask("GET", "/me").status_code == 401


def test_a_token_ends_at_its_time(stage: Stage, clock: FakeClock) -> None:
    tenant = stage.conference.tenant
    user = make_user(stage.web.services.database, tenant)
    short = program_of(stage.web, tenant, user, ["events:read"], days=1)
    clock.advance(timedelta(hours=23).total_seconds())
    assert short.ask("GET", "/me").status_code == 200
    clock.advance(timedelta(hours=1).total_seconds())
    assert short.ask("GET", "/me").status_code == 401


def test_a_token_is_good_for_one_organisation_though_its_person_works_for_two(
    stage: Stage,
) -> None:
    database = stage.web.services.database
    other = make_tenant(database)
    user = make_user(database, stage.conference.tenant)
    with database.system_session("tests") as session:
        session.add(Membership(tenant_id=other.id, user_id=user.id, role="admin"))
        session.commit()
    there = program_of(stage.web, other, user, ["events:read"])
    assert there.all_of("/events") == []
    assert there.ask("GET", f"/events/{stage.conference.event.uid}").status_code == 404


def test_a_suspended_organisation_is_read_only(stage: Stage) -> None:
    admin = program(stage.web, stage.conference.tenant)
    with stage.web.services.database.system_session("tests") as session:
        session.execute(
            update(Tenant).where(Tenant.id == stage.conference.tenant.id).values(status="suspended")
        )
        session.commit()
    assert admin.ask("GET", "/events").status_code == 200
    refused = admin.post("/notifications/read", {})
    assert (refused.status_code, refused.get_json()["code"]) == (403, "tenant_suspended")
