"""A shop whose orders are killed; the provider is one process for all of these tests."""

from collections.abc import Iterator

import pytest

from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.cancelling import conference
from support.conferences import provider
from support.ordering import Shop

__all__ = ["provider", "shop"]


@pytest.fixture
def shop(sqlite_database: Database, clock: FakeClock, provider: ProviderProcess) -> Iterator[Shop]:
    """A shop on SQLite."""
    with conference(sqlite_database, clock, provider) as made:
        yield Shop(made)
