"""Processes that die, and what is left in the database and in the broker afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.outbox_crash import Scene
from support.sql_engines import database_url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def scene(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Iterator[Scene]:
    made = Scene(database_url(request, request.param, tmp_path), redis_url)
    yield made
    made.close()
