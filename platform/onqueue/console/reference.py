"""Writes docs/reference/queue-commands.md from the commands themselves."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import click

from onqueue.console import build_group, build_schedule_group

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# Commands of the queue

The group `queue` of `meet2be` on the platform, `onqueue --app module:attribute` for the core alone.

A command ends with 0 when it did what it was asked, with 1 when it could not, or not all of it
(what it did stays done, and it says what), with 2 when it was called wrongly: then nothing was
changed. Where something else is meant, it is said below. Lists come as tables; with `--json` they
are complete and made for programs. This page is made from the commands:

    .venv/bin/python -m onqueue.console.reference > docs/reference/queue-commands.md
"""


def reference() -> str:
    """Return the page in Markdown."""
    queue, schedule = build_group(_nobody), build_schedule_group(_nobody)
    schedules = f"\n# Commands of the schedule\n\nThe group `schedule`. {_text(schedule)}\n"
    return _HEAD + "".join(_sections(queue)) + schedules + "".join(_sections(schedule))


def _nobody() -> Any:
    raise click.UsageError("The reference needs no queues.")


def _sections(group: click.Group) -> Iterator[str]:
    for name in sorted(group.commands):
        command = group.commands[name]
        context = click.Context(command, info_name=name)
        usage = " ".join([name, *command.collect_usage_pieces(context)])
        yield f"\n## {name}\n\n`{usage}`\n\n{_text(command)}\n{_options(command)}"


def _text(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _options(command: click.Command) -> str:
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    if not options:
        return ""
    rows = "".join(_row(command, option) for option in options)
    return f"\n| option | default | what it does |\n| --- | --- | --- |\n{rows}"


def _row(command: click.Command, option: click.Option) -> str:
    context = click.Context(command, info_name=command.name)
    flags = ", ".join(f"`{flag}`" for flag in option.opts)
    if not option.is_flag and not option.count:
        flags += f" {_escaped(_metavar(option, context))}"
    shown = option.default if option.show_default and option.default is not None else ""
    cells = (flags, _escaped(str(shown)), _escaped(option.help or ""))
    return "| " + " | ".join(cells).replace("|  |", "| |") + " |\n"


def _metavar(option: click.Option, context: click.Context) -> str:
    is_number = isinstance(option.type, click.IntRange | click.FloatRange)
    return "N" if is_number and not option.metavar else option.make_metavar(context)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


if __name__ == "__main__":
    sys.stdout.write(reference())
