"""The queue's commands: `onqueue --app module:attr …`, or as a group inside another program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from onqueue.console import (
    batches,
    cancelling,
    failed_jobs,
    inspecting,
    maintenance,
    metrics,
    monitoring,
    pausing,
    queues,
    retrying,
)
from onqueue.console.group import QueueGroup
from onqueue.console.loading import load_manager
from onqueue.console.schedule import build_schedule_group
from onqueue.console.work import listen, work

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.connections import QueueManager

__all__ = ["build_group", "build_schedule_group", "main"]


def build_group(get_manager: Callable[[], QueueManager], name: str = "queue") -> click.Group:
    """Return the group of all commands.

    `get_manager` is called when one of them needs it; inside the group it is the context's `obj`.
    """
    group = QueueGroup(name, get_manager)
    for command in (
        work,
        listen,
        *failed_jobs.commands(get_manager),
        *retrying.commands(get_manager),
        *batches.commands(get_manager),
        *queues.commands(get_manager),
        *pausing.commands(get_manager),
        *maintenance.commands(get_manager),
        *inspecting.commands(get_manager),
        *cancelling.commands(get_manager),
        *monitoring.commands(get_manager),
        *metrics.commands(get_manager),
    ):
        group.add_command(command)
    return group


def main() -> None:
    """Run the console of a program that is named on the command line."""
    group = build_group(_manager_of_app, "onqueue")
    group.params.append(
        click.Option(
            ["--app"],
            metavar="MODULE:ATTRIBUTE",
            help="Where the QueueManager is, like 'shop:queues'.",
        )
    )
    group.add_command(build_schedule_group(_manager_of_app))
    group.main(prog_name="onqueue")


def _manager_of_app() -> QueueManager:
    app = click.get_current_context().find_root().params.get("app")
    if not app:
        raise click.UsageError(
            "Say with --app where the QueueManager is: onqueue --app shop:queues …"
        )
    return load_manager(app)
