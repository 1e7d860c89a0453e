"""Two who do something to one export, or to one schedule, at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from meet2be.audit.services import SYSTEM
from meet2be.db import Database
from meet2be.exports import services
from meet2be.exports.running import give_up
from meet2be.language import Message
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
