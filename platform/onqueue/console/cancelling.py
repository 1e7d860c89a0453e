"""`cancel` and `progress`: one job, from outside."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from onqueue.console.amounts import Amount
from onqueue.console.group import FAILED
from onqueue.control import GRACE, cancel, progress_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.connections import QueueManager

_SAID = {
    "removed": "Job {id} waited and is gone.",
    "asked": "Job {id} runs; its worker has been told to end it.",
    "moving": "Job {id} changed hands each time it was looked for. Ask again.",
    "unknown": "No job {id} waits or runs on {connection!r}: it has ended, or never was.",
}


def commands(get_manager: Callable[[], QueueManager]) -> tuple[click.Command, ...]:
    """Return the commands."""
    return (_cancel(get_manager), _progress(get_manager))


def _cancel(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("cancel")
    @click.argument("ids", nargs=-1, required=True, metavar="ID…")
    @click.option("--connection", help="Where the jobs are (default: the default connection).")
    @click.option(
        "--grace",
        type=Amount(min=0),
        default=GRACE,
        show_default=True,
        help="Seconds a running job has to end by itself.",
    )
    @click.pass_context
    def command(
        context: click.Context, ids: tuple[str, ...], connection: str | None, grace: float
    ) -> None:
        """Cancel jobs: waiting ones are removed, running ones told to end, then made to."""
        manager = get_manager()
        name = manager.config(connection).name
        missed = False
        for job_id in ids:
            what = cancel(job_id, name, grace=grace, manager=manager)
            missed = missed or what in {"unknown", "moving"}
            click.echo(_SAID[what].format(id=job_id, connection=name), err=what == "unknown")
        if missed:
            context.exit(FAILED)

    return command


def _progress(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("progress")
    @click.argument("job_id", metavar="ID")
    @click.option("--connection", help="Where the job is (default: the default connection).")
    @click.option("--json", "as_json", is_flag=True, help="As JSON.")
    def command(job_id: str, connection: str | None, *, as_json: bool) -> None:
        """Tell how far a job is, as it last reported."""
        progress = progress_of(job_id, connection, manager=get_manager())
        if progress is None:
            msg = f"Job {job_id} has reported no progress, or more than a day ago"
            raise click.ClickException(msg)
        if as_json:
            click.echo(json.dumps({**asdict(progress), "percent": progress.percent}))
            return
        of = "" if progress.total is None else f" of {progress.total} ({progress.percent:.0f} %)"
        note = f": {progress.note}" if progress.note else ""
        click.echo(f"{progress.done}{of}{note}")

    return command
