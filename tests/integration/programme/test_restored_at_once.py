"""Two events out of the archive at once, on the server that lets both in."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy.orm import Session

from meet2be.audit.services import Actor
from meet2be.db import Database
from meet2be.programme import shelving
from meet2be.programme.testing import hold_mode
from support.factories import make_event, make_tenant

pytestmark = pytest.mark.postgres
LATE = 0.3
SECONDS = 60


def test_two_restores_at_once_do_not_wait_for_each_other(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = make_tenant(postgres_database)
    events = [make_event(postgres_database, tenant, status="archived") for _ in range(2)]
    gate = threading.Barrier(len(events))

    def hold_until_both_do(session: Session) -> bool:
        found = hold_mode(session)
        with suppress(threading.BrokenBarrierError):
            gate.wait(LATE)
        return found

    def restore(uid: str) -> str:
        with postgres_database.tenant_session(tenant.id) as session:
            event = shelving.restore_event(session, uid, Actor("user", "1"))
            session.commit()
            return event.status

    monkeypatch.setattr(shelving, "hold_mode", hold_until_both_do)
    with ThreadPoolExecutor(len(events)) as pool:
        asked = [pool.submit(restore, each.uid) for each in events]
        assert [each.result(SECONDS) for each in asked] == ["draft", "draft"]
