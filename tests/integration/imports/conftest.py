"""An organisation that imports, on SQLite or on each kind of database."""

from pathlib import Path

import pytest

from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from support.importing import Importing, importing


@pytest.fixture
def rig(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Importing:
    """On SQLite."""
    return importing(sqlite_database, clock, tmp_path)


@pytest.fixture
def any_rig(database: Database, clock: FakeClock, tmp_path: Path) -> Importing:
    """On each kind of database in turn."""
    return importing(database, clock, tmp_path)
