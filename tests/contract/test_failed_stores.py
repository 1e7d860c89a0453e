"""Every failed store keeps the contract; the one that keeps nothing says so each time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from onqueue.connections import QueueManager
from onqueue.failed import MemoryFailedJobs, NullFailedJobs
from onqueue.failed.database import DatabaseFailedJobs
from onqueue.failed.dynamodb import DynamoFailedJobs, create_table
from onqueue.failed.tables import create_all
from onqueue.stores import FailedJobs
from onqueue.testing.clock import FakeClock
from onqueue.testing.failed_contract import FailedContract, MakeStore, accept, failure, job_id
from support.sql_engines import database_url, engine_for


class TestInMemory(FailedContract):
    """For tests and small programs."""

    @pytest.fixture
    def make_store(self) -> MakeStore:
        return MemoryFailedJobs


class TestInADatabase(FailedContract):
    """SQLite and PostgreSQL."""

    @pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
    def make_store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
        engine = engine_for(database_url(request, request.param, tmp_path))
        create_all(engine)
        yield lambda clock: DatabaseFailedJobs(engine, clock)
        engine.dispose()


@pytest.fixture(scope="module")
def table() -> Iterator[DynamoFailedJobs]:
    """One for all: to make the client takes longer than a test."""
    client: dict[str, Any] = {
        "region_name": "eu-central-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    with mock_aws():
        for _ in range(2):
            create_table("failed", **client)
        yield DynamoFailedJobs("failed", **client)


class TestInDynamoDB(FailedContract):
    """One that lives in this process."""

    @pytest.fixture
    def make_store(self, table: DynamoFailedJobs) -> MakeStore:
        table.flush()

        def make(clock: FakeClock) -> FailedJobs:
            table._clock = clock
            return table

        return make


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.record(failure(1)) or store.all(),
        lambda store: store.count(),
        lambda store: store.groups(),
        lambda store: store.find(job_id(1)),
        lambda store: store.failures(job_id(1)),
        lambda store: store.edits(job_id(1)),
        lambda store: store.forget(job_id(1)),
        lambda store: store.flush(),
        lambda store: store.retry(job_id(1), accept),
    ],
    ids=["all", "count", "groups", "find", "failures", "edits", "forget", "flush", "retry"],
)
def test_the_null_store_has_nothing(call: Callable[[FailedJobs], object]) -> None:
    assert not call(NullFailedJobs())


def test_a_store_made_of_an_address_connects_when_it_is_used(tmp_path: Path) -> None:
    store = DatabaseFailedJobs(f"sqlite:///{tmp_path / 'failed.db'}", FakeClock())
    create_all(engine_for(f"sqlite:///{tmp_path / 'failed.db'}"))
    assert store.count() == 0


def test_a_queue_manager_finds_the_store_in_dynamodb_by_its_name() -> None:
    manager = QueueManager(
        "sync",
        {"sync": {"driver": "sync"}},
        {"driver": "dynamodb", "table": "failed", "region_name": "eu-central-1"},
    )
    assert isinstance(manager.failed, DynamoFailedJobs)
