"""Jobs dispatched in a transaction: committed means pushed, rolled back means never."""

import logging
from collections.abc import Callable

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError, PendingRollbackError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import QueuePool

from onqueue.outbox import SqlAlchemyTransactions, SqlOutbox
from support.broker_double import BrokerDouble
from support.outbox_records import job_id, job_ids, record

things = Table("things", MetaData(), Column("id", Integer, primary_key=True, autoincrement=False))
Dispatch = Callable[[int], None]


@pytest.fixture
def transactions() -> SqlAlchemyTransactions:
    return SqlAlchemyTransactions()


@pytest.fixture
def session(engine: Engine) -> Session:
    things.metadata.create_all(engine)
    return Session(engine)


@pytest.fixture
def dispatch(
    transactions: SqlAlchemyTransactions, outbox: SqlOutbox, broker: BrokerDouble
) -> Dispatch:
    """What the dispatcher does with the job of a number that waits for the commit."""

    def run(number: int) -> None:
        transaction = transactions.current()
        assert transaction is not None
        outbox.add_many(transaction.connection, [record(number)])

        def push() -> None:
            broker.push(record(number).message)
            outbox.mark_dispatched([job_id(number)])

        transaction.after_commit(push)

    return run


def test_without_a_bound_session_there_is_no_transaction(
    transactions: SqlAlchemyTransactions, session: Session
) -> None:
    session.begin()
    assert transactions.current() is None
    with transactions.bind(session):
        assert transactions.current() is not None
        with transactions.bind(None):
            assert transactions.current() is None
    assert transactions.current() is None
    session.close()


def test_a_session_that_has_not_begun_is_no_transaction(
    transactions: SqlAlchemyTransactions, session: Session
) -> None:
    with transactions.bind(session):
        assert transactions.current() is None


def test_a_commit_pushes_in_order_and_leaves_no_row(
    transactions: SqlAlchemyTransactions,
    session: Session,
    dispatch: Dispatch,
    broker: BrokerDouble,
    outbox: SqlOutbox,
) -> None:
    with transactions.bind(session), session.begin():
        for number in (1, 2, 3):
            dispatch(number)
        assert broker.pushed == []
        assert outbox.counts() == {}, "the row must not be seen before the commit"
    assert [message.id for message in broker.pushed] == job_ids(3)
    assert outbox.counts() == {}


def test_a_rollback_leaves_nothing(
    transactions: SqlAlchemyTransactions,
    session: Session,
    dispatch: Dispatch,
    broker: BrokerDouble,
    outbox: SqlOutbox,
) -> None:
    """K77."""
    with transactions.bind(session):
        session.begin()
        dispatch(1)
        session.rollback()
        session.begin()
        dispatch(2)
        session.close()
    assert (broker.pushed, outbox.counts()) == ([], {})


def test_a_session_serves_many_transactions(
    transactions: SqlAlchemyTransactions,
    session: Session,
    dispatch: Dispatch,
    broker: BrokerDouble,
) -> None:
    with transactions.bind(session):
        for number in (1, 2, 3):
            with session.begin():
                dispatch(number)
            assert transactions.current() is None
    assert [message.id for message in broker.pushed] == job_ids(3)


def test_nothing_is_left_on_a_session_and_listeners_do_not_add_up(
    transactions: SqlAlchemyTransactions, session: Session, dispatch: Dispatch
) -> None:
    with transactions.bind(session):
        for number in range(1, 4):
            with session.begin():
                dispatch(number)
    assert session.info == {}
    assert len(list(session.dispatch.after_commit)) == 1
    assert len(list(session.dispatch.after_transaction_end)) == 1


def test_a_rolled_back_savepoint_drops_its_jobs_only(
    transactions: SqlAlchemyTransactions,
    session: Session,
    dispatch: Dispatch,
    broker: BrokerDouble,
    outbox: SqlOutbox,
) -> None:
    with transactions.bind(session), session.begin():
        dispatch(1)
        inner = session.begin_nested()
        dispatch(2)
        inner.rollback()
        with session.begin_nested():
            dispatch(3)
        assert broker.pushed == [], "a released savepoint commits nothing"
    assert [message.id for message in broker.pushed] == [job_id(1), job_id(3)]
    assert outbox.counts() == {}


def test_an_outer_savepoint_takes_the_inner_ones_jobs_with_it(
    transactions: SqlAlchemyTransactions,
    session: Session,
    dispatch: Dispatch,
    broker: BrokerDouble,
    outbox: SqlOutbox,
) -> None:
    with transactions.bind(session), session.begin():
        outer = session.begin_nested()
        with session.begin_nested():
            dispatch(1)
        dispatch(2)
        outer.rollback()
        dispatch(3)
    assert [message.id for message in broker.pushed] == [job_id(3)]
    assert outbox.counts() == {}


def test_a_savepoint_that_was_open_before_the_first_job_takes_it_along(
    transactions: SqlAlchemyTransactions,
    session: Session,
    dispatch: Dispatch,
    broker: BrokerDouble,
) -> None:
    with transactions.bind(session), session.begin():
        outer = session.begin_nested()
        session.execute(insert(things).values(id=1))
        dispatch(1)
        outer.rollback()
    assert broker.pushed == []


def test_a_savepoint_of_the_connection_counts_as_well(
    transactions: SqlAlchemyTransactions,
    session: Session,
    dispatch: Dispatch,
    broker: BrokerDouble,
    outbox: SqlOutbox,
) -> None:
    with transactions.bind(session), session.begin():
        dispatch(1)
        savepoint = session.connection().begin_nested()
        dispatch(2)
        savepoint.rollback()
    assert [message.id for message in broker.pushed] == [job_id(1)]
    assert outbox.counts() == {}


def test_a_flush_that_fails_in_a_savepoint_drops_the_savepoints_jobs(
    transactions: SqlAlchemyTransactions,
    session: Session,
    dispatch: Dispatch,
    broker: BrokerDouble,
) -> None:
    with transactions.bind(session), session.begin():
        dispatch(1)
        session.execute(insert(things).values(id=1))

        def break_it() -> None:
            with session.begin_nested():
                dispatch(2)
                session.execute(insert(things).values(id=1))

        with pytest.raises(IntegrityError):
            break_it()
        dispatch(3)
    assert [message.id for message in broker.pushed] == [job_id(1), job_id(3)]


def test_a_dispatch_after_a_failed_flush_is_refused_by_the_session(
    transactions: SqlAlchemyTransactions, session: Session, dispatch: Dispatch
) -> None:
    thing = _mapped()
    with transactions.bind(session):
        session.begin()
        session.execute(insert(things).values(id=1))
        session.add(thing(id=1))
        with pytest.raises(IntegrityError):
            session.flush()
        with pytest.raises(PendingRollbackError):
            dispatch(1)
        session.rollback()


def test_a_broker_that_is_away_does_not_harm_the_commit(
    transactions: SqlAlchemyTransactions,
    session: Session,
    dispatch: Dispatch,
    broker: BrokerDouble,
    outbox: SqlOutbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker.away = True
    with transactions.bind(session), session.begin(), caplog.at_level(logging.CRITICAL):
        session.execute(insert(things).values(id=1))
        dispatch(1)
        dispatch(2)
    assert session.scalars(select(things.c.id)).all() == [1]
    assert outbox.counts() == {"pending": 2}
    session.close()


def test_a_commit_that_fails_pushes_nothing(
    transactions: SqlAlchemyTransactions,
    engine: Engine,
    session: Session,
    dispatch: Dispatch,
    broker: BrokerDouble,
    outbox: SqlOutbox,
) -> None:
    def refuse(_connection: object) -> None:
        raise RuntimeError("the disk is full")

    with transactions.bind(session):
        session.begin()
        dispatch(1)
        event.listen(engine, "commit", refuse)
        with pytest.raises(RuntimeError, match="disk is full"):
            session.commit()
        event.remove(engine, "commit", refuse)
        session.rollback()
    assert (broker.pushed, outbox.counts()) == ([], {})


def test_a_pool_of_one_connection_is_enough(
    engine: Engine, transactions: SqlAlchemyTransactions, broker: BrokerDouble
) -> None:
    alone = create_engine(
        engine.url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.5
    )
    outbox = SqlOutbox(alone)
    session = Session(alone)
    with transactions.bind(session), session.begin():
        transaction = transactions.current()
        assert transaction is not None
        outbox.add_many(transaction.connection, [record(1)])
        transaction.after_commit(lambda: outbox.mark_dispatched([job_id(1)]))
    assert outbox.counts() == {}
    alone.dispose()


def test_callbacks_may_use_the_session_and_dispatch_again(
    transactions: SqlAlchemyTransactions, session: Session
) -> None:
    seen: list[object] = []
    with transactions.bind(session):
        session.begin()
        transaction = transactions.current()
        assert transaction is not None
        transaction.after_commit(lambda: seen.append(transactions.current()))
        session.commit()
    assert seen == [None]


def _mapped() -> type:
    class Base(DeclarativeBase):
        metadata = things.metadata

    class Thing(Base):
        __table__ = things

    return Thing
