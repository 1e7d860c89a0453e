"""Notices on a real database."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from meet2be.db.sessions import Database
from meet2be.language import Message
from meet2be.notifications.models import Notification
from meet2be.notifications.services import Notice, notify
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
