"""Notices on a real database."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from meet2be.db.sessions import Database
from meet2be.language import Message
from meet2be.notifications.models import Notification
from meet2be.notifications.services import Notice, notify, notify_who_began
from support.factories import make_tenant, make_user

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_each_reader_gets_a_notice_in_their_own_language(sqlite_database: Database) -> None:
    tenant = make_tenant(sqlite_database)
    ada = make_user(sqlite_database, tenant, locale="en-GB")
    kurt = make_user(sqlite_database, tenant, locale="de-AT")
    notice = Notice("export.ready", "success", Message("Your export is ready"), "as it is", "k1")
    with sqlite_database.tenant_session(tenant.id) as session:
        assert notify(session, tenant.id, [ada.id, kurt.id], notice, NOW) == 2
        assert notify(session, tenant.id, [ada.id, kurt.id], notice, NOW) == 0
        session.commit()
        titles = {row.user_id: row.title for row in session.scalars(select(Notification))}
    assert titles == {ada.id: "Your export is ready", kurt.id: "Ihr Export ist fertig"}


def test_nobody_is_told_who_is_no_member_any_more_or_may_not_log_in(
    sqlite_database: Database,
) -> None:
    tenant, other = make_tenant(sqlite_database), make_tenant(sqlite_database)
    here = make_user(sqlite_database, tenant, "viewer")
    gone, elsewhere = make_user(sqlite_database), make_user(sqlite_database, other, "owner")
    disabled = make_user(sqlite_database, tenant, "admin", status="disabled")
    operator = make_user(sqlite_database, is_operator=True)
    everybody = [here.id, gone.id, elsewhere.id, disabled.id, operator.id]
    notice = Notice("export.ready", "success", "Ready", "", "k1")
    with sqlite_database.tenant_session(tenant.id) as session:
        assert notify(session, tenant.id, everybody, notice, NOW) == 2
        session.commit()
        assert set(session.scalars(select(Notification.user_id))) == {here.id, operator.id}


def test_administrators_are_told_instead_of_who_has_left(sqlite_database: Database) -> None:
    tenant = make_tenant(sqlite_database)
    owner = make_user(sqlite_database, tenant, "owner")
    make_user(sqlite_database, tenant, "organiser")
    admin, gone = make_user(sqlite_database, tenant, "admin"), make_user(sqlite_database)
    first = Notice("import.failed", "error", "It was stopped", "", "k1")
    second = Notice("import.failed", "error", "It was stopped", "", "k2")
    with sqlite_database.tenant_session(tenant.id) as session:
        assert notify_who_began(session, tenant.id, gone.id, first, NOW) == 2
        assert notify_who_began(session, tenant.id, admin.id, second, NOW) == 1
        session.commit()
        told = {(row.user_id, row.dedupe_key) for row in session.scalars(select(Notification))}
    assert told == {(owner.id, "k1"), (admin.id, "k1"), (admin.id, "k2")}
