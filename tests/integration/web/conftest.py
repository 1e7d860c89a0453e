"""The stage of the pages; the provider is one process for all of these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.conferences import provider
from support.stage import Stage, staged

__all__ = ["any_stage", "provider", "stage"]


@pytest.fixture
def stage(
    sqlite_database: Database, clock: FakeClock, provider: ProviderProcess, tmp_path: Path
) -> Iterator[Stage]:
    """The stage on SQLite."""
    with staged(sqlite_database, clock, provider, tmp_path) as made:
        yield made


@pytest.fixture
def any_stage(
    database: Database, clock: FakeClock, provider: ProviderProcess, tmp_path: Path
) -> Iterator[Stage]:
    """The stage on each kind of database in turn."""
    with staged(database, clock, provider, tmp_path) as made:
        yield made
