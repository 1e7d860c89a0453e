"""The pages on SQLite, with passwords that cost little."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from meet2be.accounts import passwords
from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from support.house import House, housed
from support.web import password_hash


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    password_hash()  # the one that all tests share is made at its full cost
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64))
    passwords._nobodys_hash.cache_clear()
    yield
    passwords._nobodys_hash.cache_clear()


@pytest.fixture
def house(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[House]:
    with housed(sqlite_database, clock, tmp_path) as made:
        yield made
