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


def test_it_commits_what_returned_and_rolls_back_what_raised(engine: Engine) -> None:
    def session() -> Iterator[Session]:
        with Session(engine) as made:
            yield made

    registry = svcs.Registry()
    registry.register_factory(Session, session)
    manager = QueueManager("sync", {"sync": {"driver": "sync"}}, services=registry)
    with onqueue.using(manager):
        WriteRow(1).dispatch()
        with pytest.raises(ValueError, match="negative"):
            WriteRow(-1).dispatch()
    with engine.begin() as connection:
        assert connection.scalars(text("select n from rows")).all() == [1]
