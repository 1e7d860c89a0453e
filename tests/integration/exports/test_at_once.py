"""Two who do something to one export, or to one schedule, at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.audit.services import SYSTEM
from meet2be.db import Database
from meet2be.exports import services
from meet2be.exports.errors import ExportNotPossible
from meet2be.exports.running import give_up
from meet2be.language import Message
from meet2be.tenancy.limits import set_limits
from meet2be.tenancy.models import Tenant
from onqueue.testing.clock import FakeClock
from support.exporting import exporting
from support.meanwhile import while_begun


@pytest.mark.postgres
def test_an_export_that_is_cancelled_while_it_is_given_up_stays_cancelled(
    postgres_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    with exporting(postgres_database, clock, tmp_path) as desk:
        uid = desk.ask().export.uid
        with desk.database.tenant_session(desk.tenant.id) as session:
            assert services.cancel(session, uid, SYSTEM, clock.now())
            while_begun(
                desk.database,
                session,
                lambda: give_up(desk.counter, desk.tenant.id, uid, "lost", Message("Lost")),
            )
        assert desk.export(uid).state == "cancelled"
        assert desk.notices() == []


@pytest.mark.postgres
def test_of_two_who_want_the_last_rows_of_a_limit_one_gets_them(
    postgres_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    with exporting(postgres_database, clock, tmp_path) as desk:
        desk.sell("Ada", "Bea")
        with desk.database.tenant_session(desk.tenant.id) as session:
            set_limits(session.scalars(select(Tenant)).one(), {"export_rows": 3})
            session.commit()
        with desk.database.tenant_session(desk.tenant.id) as session:
            services.request_export(
                session, desk.event, desk.spec(), desk.person, SYSTEM, clock.now()
            )
            with pytest.raises(ExportNotPossible, match="limit is reached"):
                while_begun(desk.database, session, lambda: desk.ask(columns=("email",)))
