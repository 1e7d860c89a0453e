"""Files of exports that were deleted, cancelled or lost, and rows that count on without them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from meet2be import facts
from meet2be.audit.services import SYSTEM
from meet2be.exports import services
from meet2be.exports.expiry import expire, give_up_lost
from meet2be.exports.facts import ExportRequested
from meet2be.exports.models import Export, ExportRemains
from meet2be.exports.remains import WRITTEN_FOR, remove_file
from meet2be.exports.running import give_up
from meet2be.integrations.storage import StoreFailed
from meet2be.language import Message
from meet2be.organisations.suspension import lift
from onqueue.testing.clock import FakeClock
from support.exporting import Exporting

DAY = 24 * 3600


def store_file(desk: Exporting, key: str) -> None:
    """Let a worker that was killed have left its file."""
    with desk.counter.store.write(key, content_type="text/csv") as target:
        target.write(b"Name\r\n")


def exported(desk: Exporting) -> int:
    with desk.database.tenant_session(desk.tenant.id, read_only=True) as session:
        return services.exported_rows(session, desk.counter.clock.now())


def delete(desk: Exporting, uid: str) -> str:
    with desk.database.tenant_session(desk.tenant.id) as session:
        key = services.delete(session, uid, SYSTEM)
        session.commit()
    return key


def test_a_file_whose_deletion_was_refused_is_removed_by_the_sweep(
    desk: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sell("Ada")
    export, _ = desk.make()
    key = delete(desk, export.uid)

    def refuses(_store: Any, _key: str) -> bool:
        raise StoreFailed(Message("No."), detail="SlowDown", is_temporary=True)

    with monkeypatch.context() as patched:
        patched.setattr(type(desk.counter.store), "delete", refuses)
        assert not remove_file(desk.counter.store, key)
        expire(desk.counter)
    assert desk.counter.store.size(key) is not None
    desk.counter.clock.advance(WRITTEN_FOR.total_seconds())  # type: ignore[attr-defined]
    expire(desk.counter)
    assert desk.counter.store.size(key) is None


@pytest.mark.parametrize("end", ["deleted", "cancelled", "failed"])
def test_a_file_that_was_being_written_at_the_end_is_removed_when_nobody_writes_any_more(
    desk: Exporting, clock: FakeClock, end: str
) -> None:
    uid = desk.ask().export.uid
    key = desk.export(uid).storage_key
    if end == "deleted":
        delete(desk, uid)
    elif end == "cancelled":
        with desk.database.tenant_session(desk.tenant.id) as session:
            services.cancel(session, uid, SYSTEM, clock.now())
            session.commit()
    else:
        give_up(desk.counter, desk.tenant.id, uid, "unexpected", Message("No."))
    store_file(desk, key)
    expire(desk.counter)
    assert desk.counter.store.size(key) is not None, "somebody may be writing it"
    clock.advance(WRITTEN_FOR.total_seconds())
    expire(desk.counter)
    assert desk.counter.store.size(key) is None


def test_rows_count_while_an_export_is_open_and_after_it_is_deleted(
    desk: Exporting, clock: FakeClock
) -> None:
    desk.sell("Ada", "Bob", "Cy")
    desk.make()
    asked = desk.ask(columns=("email",)).export
    assert exported(desk) == 6, "what was asked for counts before it is made"
    delete(desk, desk.run(asked.uid).uid)
    assert exported(desk) == 6, "what was deleted goes on counting"
    expire(desk.counter)
    assert exported(desk) == 6
    clock.advance(31 * DAY)
    expire(desk.counter)
    assert exported(desk) == 0
    with desk.database.system_session("test: what is left") as session:
        assert session.scalars(select(ExportRemains)).all() == []


def test_an_export_that_nobody_makes_is_given_up_after_a_day_and_can_be_asked_for_again(
    desk: Exporting, clock: FakeClock
) -> None:
    uid = desk.ask().export.uid
    clock.advance(DAY - 60)
    assert give_up_lost(desk.counter) == 0
    assert desk.ask().joined
    clock.advance(120)
    expire(desk.counter)
    export = desk.export(uid)
    assert (export.state, export.error_code) == ("failed", "lost")
    assert desk.notices()[-1].body == "Nobody finished this file within a day. Make it again."
    assert not desk.ask().joined


def test_an_export_of_a_suspended_organisation_waits_and_goes_on(
    desk: Exporting, clock: FakeClock
) -> None:
    desk.sell("Ada")
    uid = desk.ask().export.uid
    desk.suspend()
    held = desk.run(uid)
    assert (held.state, held.error_code) == ("queued", "tenant_suspended")
    assert desk.notices() == []
    clock.advance(timedelta(days=3).total_seconds())
    expire(desk.counter)
    assert desk.export(uid).state == "queued"
    with desk.database.tenant_session(desk.tenant.id) as session:
        assert lift(session, "paid", SYSTEM, clock.now())
        noted = facts.take(session)
        session.commit()
    assert ExportRequested(desk.tenant.id, uid) in noted
    assert desk.run(uid).state == "ready"
    assert desk.export(uid).error_code is None


def test_a_cancelled_export_does_not_go_on_when_the_suspension_ends(
    desk: Exporting, clock: FakeClock
) -> None:
    uid = desk.ask().export.uid
    desk.suspend()
    desk.run(uid)
    with desk.database.tenant_session(desk.tenant.id) as session:
        services.cancel(session, uid, SYSTEM, clock.now())
        session.execute(update(Export).values(error=None))
        assert services.resume_held(session) == 0
