from datetime import timedelta

from meet2be import facts
from meet2be.db import Database
from meet2be.webhooks.facts import DeliveriesReady
from meet2be.webhooks.replaying import KEPT, OVERDUE, dispatch_lost, prune
from onqueue.testing.clock import FakeClock
from support.hooks import deliveries_of, staged
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
        assert prune(session, clock.now() - KEPT) == 1
        session.commit()
    assert deliveries_of(database, stage.tenant_id) == []
