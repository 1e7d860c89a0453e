"""One database transaction around `handle`."""

from collections.abc import Iterator
from typing import Any

import pytest
import svcs
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

import onqueue
from onqueue import Job, QueueManager
from onqueue.middleware import DatabaseTransaction
from onqueue.outbox import SqlAlchemyTransactions

ANNOUNCED: list[int] = []


class WriteRow(Job):
    n: int

    def middleware(self) -> list[Any]:
        return [DatabaseTransaction()]

    def handle(self, session: Session) -> None:
        session.execute(text("insert into rows values (:n)"), {"n": self.n})
        if self.n < 0:
            raise ValueError("negative")


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        connection.execute(text("create table rows (n integer)"))
    yield engine
    engine.dispose()


@pytest.fixture
def services(engine: Engine) -> svcs.Registry:
    def session() -> Iterator[Session]:
        with Session(engine) as made:
            yield made

    registry = svcs.Registry()
    registry.register_factory(Session, session)
    return registry


def test_it_commits_what_returned_and_rolls_back_what_raised(
    engine: Engine, services: svcs.Registry
) -> None:
    manager = QueueManager("sync", {"sync": {"driver": "sync"}}, services=services)
    with onqueue.using(manager):
        WriteRow(1).dispatch()
        with pytest.raises(ValueError, match="negative"):
            WriteRow(-1).dispatch()
    with engine.begin() as connection:
        assert connection.scalars(text("select n from rows")).all() == [1]


class AnnounceInTransaction(Job):
    n: int

    def handle(self) -> None:
        ANNOUNCED.append(self.n)


class WriteAndAnnounce(WriteRow):
    def handle(self, session: Session) -> None:
        AnnounceInTransaction(self.n).after_commit().dispatch()
        assert ANNOUNCED == []
        super().handle(session)


def test_jobs_that_wait_for_the_commit_go_with_it_and_never_after_a_rollback(
    services: svcs.Registry,
) -> None:
    ANNOUNCED.clear()
    connections = {"sync": {"driver": "sync"}}
    transactions = SqlAlchemyTransactions()
    manager = QueueManager("sync", connections, services=services, transactions=transactions)
    with onqueue.using(manager):
        with pytest.raises(ValueError, match="negative"):
            WriteAndAnnounce(-1).dispatch()
        assert ANNOUNCED == []
        WriteAndAnnounce(1).dispatch()
    assert ANNOUNCED == [1]
