"""`work`: serve the queues of one connection until there is a reason to stop."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import click

from onqueue.errors import OnQueueError
from onqueue.worker import Worker, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.connections import QueueManager

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s"


def _names(_context: click.Context, _parameter: click.Parameter, given: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in given.split(",")) if given else ()


def _spans(_context: click.Context, _parameter: click.Parameter, given: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in given.split(","))
    except ValueError:
        raise click.BadParameter(f"{given!r} is not seconds, or several with commas") from None


@click.command("work")
@click.argument("connection", required=False)
@click.option("--queue", "queues", default="", callback=_names, help="Queues, the first one first.")
@click.option("--tries", default=1, show_default=True, help="Attempts of a job; 0: no limit.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds of a job; 0: no limit.")
@click.option(
    "--backoff", default="0", callback=_spans, help="Seconds before another try: 5 or 1,5,30."
)
@click.option("--sleep", default=3.0, show_default=True, help="Seconds between looks in a pause.")
@click.option("--rest", default=0.0, show_default=True, help="Seconds to rest after each job.")
@click.option("--max-jobs", default=0, help="Stop after so many jobs.")
@click.option("--max-time", default=0.0, help="Stop after so many seconds, between jobs.")
@click.option(
    "--memory", default=512.0, show_default=True, help="Stop (exit code 12) from so many MiB on."
)
@click.option("--once", is_flag=True, help="Run one job, or none when there is none, and stop.")
@click.option("--stop-when-empty", is_flag=True, help="Stop when no job is ready.")
@click.option("--force", is_flag=True, help="Work even while the whole connection is paused.")
@click.option("-v", "--verbose", count=True, help="Tell more; twice for everything.")
@click.pass_obj
def work(
    get_manager: Callable[[], QueueManager],
    connection: str | None,
    verbose: int,
    **given: object,
) -> None:
    """Run the jobs of a connection's queues.

    TERM, INT and QUIT finish the running job and end; a second one interrupts it. USR2 pauses,
    CONT goes on.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format=_LOG_FORMAT, stream=sys.stderr)
    try:
        options = WorkerOptions(connection=connection, **given)  # type: ignore[arg-type]
        reason = Worker(get_manager(), options).run()
    except OnQueueError as error:
        raise click.ClickException(str(error)) from error
    logging.getLogger("onqueue.worker").info("worker stopped: %s", reason.value)
    sys.exit(reason.exit_code)
