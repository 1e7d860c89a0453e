import asyncio
import sqlite3
from pathlib import Path

import pytest

from simulators.durable import DurableStore

SCHEMA = "CREATE TABLE IF NOT EXISTS words (word TEXT UNIQUE)"


def on_disk(path: Path) -> list[str]:
    """What another process would find."""
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT word FROM words ORDER BY 1")]
    finally:
        connection.close()


def write_together(store: DurableStore, *words: str) -> None:
    with store.atomic():
        for word in words:
            store.write("INSERT INTO words VALUES (?)", (word,))


def test_what_was_waited_for_is_on_disk_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "words.sqlite3"

    async def story() -> None:
        store = DurableStore(path, SCHEMA)
        store.write("INSERT INTO words VALUES ('one')")
        assert on_disk(path) == []
        await store.committed()
        assert on_disk(path) == ["one"]
        store.close()

    asyncio.run(story())


def test_a_block_that_raises_leaves_the_others_of_the_same_commit_alone(tmp_path: Path) -> None:
    path = tmp_path / "words.sqlite3"

    async def story() -> None:
        store = DurableStore(path, SCHEMA)
        write_together(store, "kept")
        with pytest.raises(sqlite3.IntegrityError):
            write_together(store, "undone", "kept")
        await store.committed()
        store.close()

    asyncio.run(story())
    assert on_disk(path) == ["kept"]


def test_handlers_of_one_turn_share_a_commit(tmp_path: Path) -> None:
    async def story() -> int:
        store = DurableStore(tmp_path / "words.sqlite3", SCHEMA)
        commits: list[int] = []
        store.before_commit(lambda: commits.append(1))

        async def write(word: str) -> None:
            store.write("INSERT INTO words VALUES (?)", (word,))
            await store.committed()

        await asyncio.gather(*(write(f"word {number}") for number in range(50)))
        store.close()
        return len(commits)

    assert asyncio.run(story()) == 1


def test_whoever_waits_for_a_commit_that_fails_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        store = DurableStore(tmp_path / "words.sqlite3", SCHEMA)

        def fail() -> None:
            raise sqlite3.OperationalError("disk full")

        store.before_commit(fail)
        store.write("INSERT INTO words VALUES ('lost')")
        with pytest.raises(sqlite3.OperationalError, match="disk full"):
            await store.committed()
        assert store.rows("SELECT * FROM words") == []

    asyncio.run(story())
