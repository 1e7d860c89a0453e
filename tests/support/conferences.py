"""Fixtures of tests that cancel, for their conftest: a provider, and a conference to cancel."""

from collections.abc import Iterator

import pytest

from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.cancelling import Conference, conference, running_provider


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    """The simulated provider, one process for all tests of a folder; its clock is the wall's."""
    with running_provider(tmp_path_factory.mktemp("provider")) as process:
        yield process


@pytest.fixture
def meeting(
    sqlite_database: Database, clock: FakeClock, provider: ProviderProcess
) -> Iterator[Conference]:
    """A conference on SQLite."""
    with conference(sqlite_database, clock, provider) as made:
        yield made


@pytest.fixture
def any_meeting(
    database: Database, clock: FakeClock, provider: ProviderProcess
) -> Iterator[Conference]:
    """A conference on each kind of database in turn."""
    with conference(database, clock, provider) as made:
        yield made


@pytest.fixture
def postgres_meeting(
    postgres_database: Database, clock: FakeClock, provider: ProviderProcess
) -> Iterator[Conference]:
    """A conference on PostgreSQL."""
    with conference(postgres_database, clock, provider) as made:
        yield made
