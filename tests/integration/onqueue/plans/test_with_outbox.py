"""Chains and batches that belong to a transaction: with it or not at all, and started once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy.orm import Session

import onqueue
from onqueue import Job, batch, chain
from onqueue.bus.sending import Sender
from onqueue.drivers.redis import RedisQueue
from onqueue.errors import BrokerUnavailable
from onqueue.outbox import Reconciler, Relay, SqlAlchemyTransactions, SqlOutbox
from support.plan_jobs import Do, PlanApp, on_finally
from support.sql_engines import sqlite_engine
from support.worker_jobs import note


@pytest.fixture
def app(tmp_path: Path, redis_url: str) -> Iterator[PlanApp]:
    app = PlanApp(tmp_path, redis_url, outbox=True)
    yield app
    app.close()


@pytest.fixture
def session(app: PlanApp) -> Iterator[Session]:
    engine = sqlite_engine(Path(f"{app.ledger}.db"))
    with Session(engine) as session, SqlAlchemyTransactions().bind(session):
        session.begin()
        yield session
    engine.dispose()


def dispatch_both() -> None:
    """Dispatch a chain and a batch."""
    chain([Do("a"), Do("b"), batch([Do("c")])]).after_commit().dispatch()
    batch([Do("x"), [Do("y"), Do("z")]]).finally_(on_finally).after_commit().dispatch()


class Settle(Job):
    unique = True
    account: int

    def handle(self) -> None: ...


class HandOn(Job):
    """A durable step that hands on to the next one in its own transaction."""

    durable = True
    label: str
    following: tuple[str, ...] = ()

    def handle(self) -> None:
        outbox = onqueue.current_manager().outbox
        assert isinstance(outbox, SqlOutbox)
        with Session(outbox.engine) as session, SqlAlchemyTransactions().bind(session):
            session.begin()
            if self.following:
                HandOn(self.following[0], self.following[1:]).dispatch()
            session.commit()
        note(self, "did")


def relay(app: PlanApp) -> Relay:
    """Return a relay that waits for nobody."""
    outbox = app.manager.outbox
    assert isinstance(outbox, SqlOutbox)
    return Relay(outbox, app.manager, grace=0.0)


def test_plans_start_with_the_commit(app: PlanApp, session: Session) -> None:
    """C77."""
    dispatch_both()
    app.drain()
    assert app.ran() == []
    session.commit()
    assert relay(app).run_once().handled == 0
    app.drain()
    assert app.ran("a", "b", "c") == ["a", "b", "c"]
    assert app.ran("x", "y", "z") == ["x", "y", "z"]
    assert app.told() == ["finally:3/3:0"]


def test_plans_of_a_transaction_that_is_rolled_back_never_start(
    app: PlanApp, session: Session
) -> None:
    """C77."""
    dispatch_both()
    session.rollback()
    assert relay(app).run_once().handled == 0
    app.drain()
    assert app.ran() == []


def test_a_unique_job_of_a_transaction_that_is_rolled_back_leaves_no_lock(
    app: PlanApp, session: Session
) -> None:
    """K63."""
    dropped = Settle(7).after_commit().dispatch()
    session.rollback()
    assert relay(app).run_once().handled == 0
    kept = Settle(7).before_commit().dispatch()
    assert kept != dropped
    queue = app.manager.connection()
    assert isinstance(queue, RedisQueue)
    assert [claim.owner for claim in queue.claims()] == [kept]


def test_the_relay_starts_what_its_dispatcher_could_not(
    app: PlanApp, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C77."""
    monkeypatch.setattr(Sender, "push_from_outbox", lambda *_: None)
    dispatch_both()
    session.commit()
    assert relay(app).run_once().pushed == 2
    app.drain()
    assert relay(app).run_once().handled == 0
    app.drain()
    assert sorted(app.ran()) == ["a", "b", "c", "x", "y", "z"]


def test_the_outbox_takes_a_plan_while_the_broker_is_away(
    app: PlanApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = app.manager.connection()

    def away(plan: Any) -> bool:
        raise BrokerUnavailable("redis", "nowhere", "it was sent away")

    with monkeypatch.context() as patch:
        patch.setattr(queue, "start_batch", away)
        with pytest.raises(BrokerUnavailable):
            batch([Do("no")]).dispatch()
        batch([Do("a")]).after_commit().dispatch()
    assert relay(app).run_once().pushed == 1
    app.drain()
    assert app.ran() == ["a"]


def test_durable_steps_that_hand_on_by_themselves_outlive_a_broker_that_loses_everything(
    app: PlanApp, redis_url: str
) -> None:
    """B9: what is to be done where a link of a chain cannot be durable."""
    outbox = app.manager.outbox
    assert isinstance(outbox, SqlOutbox)
    reconciler = Reconciler(outbox, app.manager, patience=0.0)
    HandOn("book", ("refund", "tell")).dispatch()
    for done in (["book"], ["book", "refund"], ["book", "refund", "tell"]):
        with redis.Redis.from_url(redis_url) as broker:
            broker.flushall()
        assert app.manager.connection().size("default").total == 0
        reconciler.run_once()
        app.drain(max_jobs=1)
        assert app.ran() == done
    assert reconciler.run_once().lost == 0
    assert outbox.counts() == {"done": 3}
