"""An outbox on each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from onqueue.outbox import SqlOutbox, create_all
from onqueue.testing.clock import FakeClock
from support.broker_double import BrokerDouble, Connections
from support.sql_engines import database_url, engine_for


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = engine_for(database_url(request, request.param, tmp_path))
    create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def outbox(engine: Engine, clock: FakeClock) -> SqlOutbox:
    return SqlOutbox(engine, clock)


@pytest.fixture
def broker() -> BrokerDouble:
    return BrokerDouble()


@pytest.fixture
def connections(broker: BrokerDouble) -> Connections:
    return Connections(broker)
