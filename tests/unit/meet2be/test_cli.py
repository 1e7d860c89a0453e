"""What a command says when the platform's parts refuse it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from meet2be.cli import Command
from meet2be.db import Database
from onqueue.clock import SystemClock


def test_a_database_that_others_write_for_long_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meet2be.db.engine.BUSY_TIMEOUT_SECONDS", 0.01)
    database = Database(f"sqlite:///{tmp_path / 'busy.sqlite'}", SystemClock())

    @click.group(cls=Command)
    def main() -> None:
        """Stand for the platform's own."""

    @main.command()
    def write() -> None:
        with database.system_session("a test") as session:
            session.execute(text("SELECT 1"))

    with closing(sqlite3.connect(tmp_path / "busy.sqlite", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        refused = CliRunner().invoke(main, ["write"])
    database.close()
    assert refused.exit_code == 1
    assert "is busy or cannot be reached (database is locked)" in refused.output
    assert "Traceback" not in refused.output
