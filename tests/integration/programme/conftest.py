"""An organisation whose people put events on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from support.house import House, housed


@pytest.fixture
def house(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[House]:
    """The organisation, its pages and its people."""
    with housed(sqlite_database, clock, tmp_path) as made:
        yield made
