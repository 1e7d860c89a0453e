"""Exports on a database of the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from support.exporting import Exporting, exporting


@pytest.fixture
def desk(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Exporting]:
    with exporting(sqlite_database, clock, tmp_path, title="Aurora Summit") as made:
        yield made
