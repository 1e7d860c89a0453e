"""Finding commands and the manager, and telling what is wrong with either."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.exc import OperationalError

from onqueue.connections import QueueManager, use
from onqueue.console import build_group
from onqueue.console.loading import load_manager
from onqueue.errors import ConfigurationError

Run = Callable[..., Result]

SHOP = """
import onqueue
queues = onqueue.QueueManager("sync", {"sync": {"driver": "sync"}})
number = 7
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program in the working directory; its module's name is its own for each test."""
    name = f"shop_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SHOP)
    (tmp_path / f"broken_{name}.py").write_text("import nowhere_to_be_found\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return name


def test_the_manager_is_found_in_the_working_directory(shop: str) -> None:
    try:
        assert isinstance(load_manager(f"{shop}:queues"), QueueManager)
    finally:
        use(None)


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("{shop}", "it must read 'module:attribute'"),
        ("{shop}:", "it must read 'module:attribute'"),
        ("no_such_shop:queues", "there is no module 'no_such_shop' in"),
        ("{shop}.inner:queues", "there is no module '{shop}.inner' in"),
        ("broken_{shop}:queues", "imports 'nowhere_to_be_found', which is not installed"),
        ("{shop}:queue", "has no 'queue', did you mean 'queues'?"),
        ("{shop}:number", "'number' is no QueueManager but of type 'int'"),
    ],
)
def test_a_place_that_is_wrong_is_told_part_by_part(shop: str, place: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_manager(place.format(shop=shop))
    assert problem.format(shop=shop) in str(caught.value)


def test_the_console_script_runs_a_command_of_a_program(shop: str) -> None:
    command = [sys.executable, "-m", "onqueue", "--app", f"{shop}:queues", "failed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "No failed jobs.\n"), done.stderr


def test_the_console_script_wants_a_program(shop: str) -> None:
    command = [sys.executable, "-m", "onqueue", "failed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Say with --app where the QueueManager is" in done.stderr


def test_an_unknown_command_names_the_nearest(run: Run) -> None:
    result = run("retyr")
    assert result.exit_code == 2
    assert "There is no command 'retyr', did you mean 'retry'?" in result.output


def test_the_manager_is_not_asked_for_before_a_command_needs_it() -> None:
    def never() -> QueueManager:
        raise AssertionError("asked for")

    for arguments in (["--help"], ["size", "--help"], ["retry"]):
        result = CliRunner().invoke(build_group(never), arguments)
        assert not isinstance(result.exception, AssertionError)


def test_every_command_is_there_and_says_what_it_does(run: Run) -> None:
    group = build_group(lambda: pytest.fail("not needed"))
    assert {"work", "size", "failed", "retry"} <= set(group.commands)
    assert all(command.get_short_help_str() for command in group.commands.values())


def test_a_database_that_is_not_migrated_is_told_in_one_line(
    run: Run, manager: QueueManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OperationalError("select", {}, sqlite3.OperationalError("no such table: failed_jobs"))

    monkeypatch.setattr(manager.failed, "all", broken)
    result = run("failed")
    assert result.exit_code == 1
    assert "no such table: failed_jobs (is it there, and are its migrations applied?)" in (
        result.output
    )
