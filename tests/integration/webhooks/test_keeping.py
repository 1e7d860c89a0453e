from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.prune_webhooks import PruneWebhooks
from meet2be import facts
from meet2be.db import Database
from meet2be.tenancy.limits import set_limits
from meet2be.tenancy.models import Tenant
from meet2be.webhooks import replaying
from meet2be.webhooks import statements as sql
from meet2be.webhooks.endpoints import EndpointDraft, add_endpoint, check_address
from meet2be.webhooks.errors import NotNowError, RefusedEndpointError
from meet2be.webhooks.facts import DeliveriesReady
from meet2be.webhooks.ledger import LEASE, Aside
from meet2be.webhooks.replaying import (
    KEPT,
    OVERDUE,
    cancel_delivery,
    dispatch_lost,
    prune,
    resume_slice,
)
from onqueue.testing.clock import FakeClock
from support.hooks import deliveries_of, staged
from support.meanwhile import while_begun
from support.receivers import receiving


def test_what_lost_its_job_gets_another_one(database: Database, clock: FakeClock) -> None:
    """W16."""
    with receiving() as receiver:
        stage = staged(database, clock, receiver.url())
    delivery = stage.announced()
    with database.system_session("tests: relay") as session:
        assert dispatch_lost(session, clock.now()) == 0
        clock.advance(OVERDUE.total_seconds() + 1)
        assert dispatch_lost(session, clock.now()) == 1
        (fact,) = facts.take(session)
        session.commit()
        assert dispatch_lost(session, clock.now()) == 0
    assert isinstance(fact, DeliveriesReady)
    assert (fact.tenant_id, fact.deliveries[0].delivery) == (stage.tenant_id, delivery.id)


def test_the_log_is_kept_for_ninety_days(database: Database, clock: FakeClock) -> None:
    """W24."""
    with receiving() as receiver:
        stage = staged(database, clock, receiver.url())
        delivery = stage.announced()
        stage.deliver(delivery)
    with database.system_session("tests: prune") as session:
        assert prune(session, clock.now() - KEPT) == 0
        clock.advance((KEPT + timedelta(minutes=1)).total_seconds())
        assert prune(session, clock.now() - KEPT) == 2, "the attempt and its delivery"
        session.commit()
    assert deliveries_of(database, stage.tenant_id) == []


def test_what_began_cancelled_is_pruned_and_what_waits_is_not(
    sqlite_database: Database, clock: FakeClock
) -> None:
    """W24: rows without an attempt, of today and of before they said when they were settled."""
    stage = staged(sqlite_database, clock, "http://127.0.0.1:9/hook")
    stage.change(status="disabled_admin")
    today, before = stage.announced(1), stage.announced(2)
    assert (today.status, today.settled_at) == ("cancelled", clock.now())
    stage.change_delivery(before, settled_at=None)
    stage.change(status="enabled")
    waiting = stage.announced(3)
    clock.advance((KEPT + timedelta(minutes=1)).total_seconds())
    with sqlite_database.system_session("tests: prune") as session:
        assert prune(session, clock.now() - KEPT) == 2, "both that began cancelled"
        session.commit()
    assert [each.id for each in deliveries_of(sqlite_database, stage.tenant_id)] == [waiting.id]


def test_pruning_goes_on_while_deliveries_are_left_that_have_no_attempts(
    sqlite_database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "PRUNED", 1)
    stage = staged(sqlite_database, clock, "http://127.0.0.1:9/hook")
    stage.change(status="disabled_admin")
    for number in range(1, 4):
        stage.announced(number)
    clock.advance((KEPT + timedelta(minutes=1)).total_seconds())
    job = PruneWebhooks()
    job.with_fake_queue_interactions()
    job.handle(sqlite_database, clock)
    assert deliveries_of(sqlite_database, stage.tenant_id) == []


def test_what_is_still_held_back_long_after_the_endpoint_was_switched_on_gets_a_job(
    database: Database, clock: FakeClock
) -> None:
    """W16: the job that should have let it go died, or it was held while that ran."""
    stage = staged(database, clock, "http://127.0.0.1:9/hook")
    stage.change(status="paused")
    held = stage.announced()
    assert held.status == "held"
    clock.advance(OVERDUE.total_seconds() + 1)
    with database.system_session("tests: relay") as session:
        assert dispatch_lost(session, clock.now()) == 0, "it is held back on purpose"
        session.rollback()
        stage.change(status="enabled", enabled_at=clock.now())
        assert dispatch_lost(session, clock.now()) == 0, "its own job is on it"
        session.rollback()
        clock.advance(OVERDUE.total_seconds() + 1)
        assert dispatch_lost(session, clock.now()) == 1
        (fact,) = facts.take(session)
        session.commit()
        assert dispatch_lost(session, clock.now()) == 0
    assert isinstance(fact, DeliveriesReady)
    assert fact.deliveries[0].delivery == held.id


def test_what_is_cancelled_while_it_is_claimed_waits_for_the_claim(
    postgres_database: Database, clock: FakeClock
) -> None:
    stage = staged(postgres_database, clock, "http://127.0.0.1:9/hook")
    first, second = stage.announced(1), stage.announced(2)
    for each in (first, second):
        stage.change_delivery(each, status="held")

    def cancel() -> None:
        with postgres_database.tenant_session(stage.tenant_id) as session:
            cancel_delivery(session, stage.bench, first.uid)

    with (
        ThreadPoolExecutor(1) as pool,
        postgres_database.system_connection("tests: claim") as connection,
        postgres_database.tenant_session(stage.tenant_id) as session,
    ):
        connection.begin()
        rows, _ = sql.read_deliveries(connection, [first.id], clock.now())
        assert set(rows) == {first.id}
        cancelling = pool.submit(cancel)
        resume_slice(session, stage.endpoint.id)
        session.commit()
        assert stage.row(second).status == "pending", "what others hold is passed over"
        assert not cancelling.done()
        values = {"delivery": first.id, "now": clock.now(), "until": clock.now() + LEASE}
        assert sql.CLAIM.run(connection, values) == 1
        connection.commit()
        with pytest.raises(NotNowError):
            cancelling.result(60)
    assert stage.row(first).status == "sending"


def test_a_late_worker_writes_over_nothing(sqlite_database: Database, clock: FakeClock) -> None:
    """W17."""
    stage = staged(sqlite_database, clock, "http://127.0.0.1:9/hook")
    delivery = stage.announced()
    now = clock.now()
    aside = {
        "delivery": delivery.id, "v_was": "pending", "before": 0, "v_status": "held",
        "v_reason": None, "v_settled_at": None, "now": now,
    }  # fmt: skip
    claim = {"delivery": delivery.id, "now": now, "until": now + LEASE}
    stage.change_delivery(delivery, status="sending", lease_until=now + LEASE)
    with sqlite_database.system_connection("tests: late") as connection:
        connection.begin()
        assert sql.PUT_ASIDE.run(connection, aside) == 0
    stage.change(status="paused")
    assert stage.deliver(delivery) == Aside("under way", LEASE.total_seconds() + 1)
    stage.change_delivery(delivery, status="cancelled")
    with sqlite_database.system_connection("tests: late") as connection:
        connection.begin()
        assert sql.CLAIM.run(connection, claim) == 0


@pytest.mark.postgres
def test_of_two_who_add_the_last_endpoint_of_a_limit_one_is_refused(
    postgres_database: Database, clock: FakeClock
) -> None:
    stage = staged(postgres_database, clock, "http://127.0.0.1:9/hook")
    with stage.database.tenant_session(stage.tenant_id) as session:
        set_limits(session.scalars(select(Tenant)).one(), {"webhook_endpoints": 2})
        session.commit()

    def add(session: Session, number: int) -> None:
        draft = EndpointDraft(f"http://127.0.0.1:9/{number}", all_types=True)
        add_endpoint(session, stage.bench, draft, check_address(stage.bench, draft.url))

    def late() -> None:
        with stage.database.tenant_session(stage.tenant_id) as session:
            add(session, 3)

    with stage.database.tenant_session(stage.tenant_id) as session:
        add(session, 2)
        with pytest.raises(RefusedEndpointError, match="There are 2 endpoints"):
            while_begun(stage.database, session, late)
