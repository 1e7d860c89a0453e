"""A suspended organisation: what its people see, what its jobs do, and what goes on afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.audit.models import AuditEntry
from meet2be.cancellations.models import CancelRun
from meet2be.db import Database
from meet2be.imports.desk import ImportDesk
from meet2be.mailings.models import Mail
from meet2be.notifications.models import Notification
from meet2be.tenancy.limits import LimitReached, check_limit
from meet2be.tenancy.services import is_suspended
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.conferences import provider
from support.factories import make_event
from support.house import House
from support.importing import Importing
from support.mailed import mails_of
from support.stage import Stage, staged

__all__ = ["provider"]


@pytest.fixture
def stage(
    sqlite_database: Database, clock: FakeClock, provider: ProviderProcess, tmp_path: Path
) -> Iterator[Stage]:
    with staged(sqlite_database, clock, provider, tmp_path) as made:
        yield made


def act(house: House, verb: str, reason: str = "the invoice of May") -> int:
    path = f"/operator/tenants/{house.tenant.uid}/{verb}"
    return house.web.operator().post(path, reason=reason).status_code


def test_its_people_see_the_reason_and_change_nothing(house: House) -> None:
    assert act(house, "suspend", "  ") == 422
    assert act(house, "suspend") == 303
    assert "the invoice of May" in house.admin.page("/events")
    answer = house.invite("kim@example.org")
    assert answer.status_code == 409
    assert "is suspended" in answer.text
    assert house.admin.post("/notifications/read").status_code == 303
    assert house.admin.post("/account", name="A", language="en", timezone="").status_code == 303
    assert act(house, "lift") == 303
    assert house.invite("kim@example.org").status_code == 303


def test_its_admins_are_told_and_both_acts_are_written_down(house: House) -> None:
    act(house, "suspend")
    told = mails_of(house.database, "tenant_suspended")
    assert {mail.to_addr for mail in told} == {"olga@example.org", "ada@example.org"}
    assert all(mail.status == "queued" for mail in told)
    act(house, "lift", "paid")
    with house.database.tenant_session(house.tenant.id) as session:
        acts = session.scalars(
            select(AuditEntry).where(AuditEntry.action.startswith("tenant."))
        ).all()
        notices = session.scalars(select(Notification)).all()
        assert not is_suspended(session)
    assert [(entry.action, entry.reason) for entry in acts] == [
        ("tenant.suspended", "the invoice of May"),
        ("tenant.resumed", "paid"),
    ]
    assert {entry.actor_kind for entry in acts} == {"operator"}
    assert len(notices) == 4


def test_a_second_click_changes_nothing(house: House) -> None:
    act(house, "suspend", "first")
    act(house, "suspend", "second")
    assert house.fresh_tenant().suspended_reason == "first"
    act(house, "lift")
    assert act(house, "lift") == 303
    assert house.fresh_tenant().status == "active"


def test_only_operators_suspend(house: House) -> None:
    path = f"/operator/tenants/{house.tenant.uid}/suspend"
    assert house.owner.post(path, reason="x").status_code == 403
    assert house.owner.get("/operator/tenants").status_code == 403


def test_a_running_cancellation_pauses_and_goes_on_by_itself(stage: Stage) -> None:
    conference, operator = stage.conference, stage.as_a("operator")
    conference.confirm()
    conference.work(0, chunks=1)
    path = f"/operator/tenants/{conference.tenant.uid}"
    assert operator.post(f"{path}/suspend", reason="the invoice of May").status_code == 303
    conference.work(0, chunks=1)
    run = conference.run()
    assert (run.state, run.pause_code) == ("paused", "tenant_suspended")
    assert "cancellations: 1" in operator.page(path)
    assert operator.post(f"{path}/lift", reason="").status_code == 303
    with conference.database.tenant_session(conference.tenant.id) as session:
        assert session.scalars(select(CancelRun.state)).one() == "running"
        entry = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "cancellation.resumed")
        ).one()
    assert entry.actor_kind == "operator"


def test_held_mail_leaves_when_it_is_lifted(house: House) -> None:
    act(house, "suspend")
    with house.database.tenant_session(house.tenant.id) as session:
        mail = session.scalars(select(Mail).limit(1)).one()
        mail.status = "held"
        session.commit()
    act(house, "lift")
    with house.database.tenant_session(house.tenant.id) as session:
        assert session.get_one(Mail, mail.id).status == "queued"


def test_limits_are_given_by_operators_and_shown_with_what_is_used(house: House) -> None:
    path = f"/operator/tenants/{house.tenant.uid}/limits"
    operator = house.web.operator()
    assert operator.post(path, members="2", events="x").status_code == 422
    assert operator.post(path, members="2", mails_a_day="4321").status_code == 303
    page = house.admin.page("/settings/limits")
    assert "reached" in page
    assert "<dd>4,321</dd>" in page
    assert "as many as the mail server takes" in page
    with house.database.tenant_session(house.tenant.id) as session:
        check_limit(session, "members", used=1)
        with pytest.raises(LimitReached, match="Members: 2"):
            check_limit(session, "members", used=2)
    assert operator.post(path, members="", mails_a_day="").status_code == 303
    assert house.fresh_tenant().settings == {"limits": {}}


def test_an_import_stops_with_the_reason_and_goes_on_with_the_rest(house: House) -> None:
    assert house.admin.user is not None
    desk = ImportDesk(house.database, house.web.services.store, house.clock)
    event = make_event(house.database, house.tenant)
    rig = Importing(house.database, desk, house.tenant, event, house.admin.user)
    uid = rig.checked("name,email\nAda,ada@x.example\nBob,bob@x.example\n")
    rig.start(uid)
    act(house, "suspend")
    assert rig.work(uid, "write") == "failed"
    assert "suspended" in rig.error(uid)
    assert rig.count() == 0
    act(house, "lift")
    assert rig.row(uid).state == "running"
    assert rig.work(uid, "write") == "done"
    assert rig.count() == 2
