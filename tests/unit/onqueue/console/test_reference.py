"""The reference of commands says what the commands are."""

from pathlib import Path

import click
import pytest

from onqueue.console import build_group, build_schedule_group
from onqueue.console.reference import reference

PAGE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "queue-commands.md"


def commands() -> list[click.Command]:
    """Return all of them."""
    groups = (build_group(pytest.fail), build_schedule_group(pytest.fail))
    return [command for group in groups for command in group.commands.values()]


def test_the_reference_of_commands_is_made_from_them() -> None:
    assert PAGE.read_text("utf-8") == reference(), (
        "write it anew: "
        ".venv/bin/python -m onqueue.console.reference > docs/reference/queue-commands.md"
    )


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_every_command_says_what_it_and_its_options_do(command: click.Command) -> None:
    assert command.get_short_help_str()
    options = [one for one in command.params if isinstance(one, click.Option)]
    untold = [one.opts[0] for one in options if not one.help]
    assert untold == []
