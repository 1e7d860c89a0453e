"""`work` serves the queues of one connection until there is a reason to stop; `listen` reloads."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onqueue.console.amounts import Amount
from onqueue.worker import Worker, WorkerOptions
from onqueue.worker.listening import Listener, worker_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.connections import QueueManager

log = logging.getLogger("onqueue.worker")

_DEFAULTS = WorkerOptions()
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s"


def _names(_context: click.Context, _parameter: click.Parameter, given: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in given.split(",")) if given else ()


def _weighed(given: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the names and the weights of `name:weight`; without a weight it is 1."""
    names, weights = [], []
    for part in given:
        name, _, weight = (part if ":" in part else f"{part}:1").rpartition(":")
        if not (name and weight.isdecimal() and int(weight)):
            raise click.UsageError(
                f"{weight!r} of {part!r} is no weight: --weighted takes whole numbers from 1 on, "
                "as in --queue=a:3,b:1"
            )
        names.append(name)
        weights.append(int(weight))
    if not names:
        raise click.UsageError("--weighted needs the queues with their weights: --queue=a:3,b:1")
    return tuple(names), tuple(weights)


def _warn_of_weights(queues: tuple[str, ...]) -> None:
    """Warn of queues called like `a:3`, which they may be, where weights were meant."""
    for name in queues:
        if name.rpartition(":")[2].isdecimal() and ":" in name:
            log.warning("queue %r is served by that name: with --weighted it has a weight", name)


def _spans(_context: click.Context, _parameter: click.Parameter, given: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in given.split(","))
    except ValueError:
        raise click.BadParameter(f"{given!r} is not seconds, or several with commas") from None


def _option(name: str, kind: type[Any], **rest: Any) -> click.Option:
    """Return the option of the command line for one of `WorkerOptions`, with its default."""
    flag = "--queue" if name == "queues" else "--" + name.replace("_", "-")
    if kind is bool:
        return click.Option([flag, name], is_flag=True, **rest)
    default = getattr(_DEFAULTS, name)
    text = ",".join(map("{:g}".format, default)) if isinstance(default, tuple) else default
    return click.Option([flag, name], type=kind, default=text, show_default=bool(text), **rest)


@click.pass_obj
def _work(
    get_manager: Callable[[], QueueManager],
    /,
    connection: str | None,
    verbose: int,
    *,
    weighted: bool,
    **given: Any,
) -> None:
    """Run the jobs of a connection's queues.

    TERM, INT and QUIT finish the running job and end; a second one interrupts it. USR2 pauses,
    CONT goes on. The exit code is 0 (12: memory, 1: the broker is away).
    """
    _log_to_stderr(verbose)
    if weighted:
        given["queues"], given["weights"] = _weighed(given["queues"])
    else:
        _warn_of_weights(given["queues"])
    options = WorkerOptions(connection=connection, **given)
    reason = Worker(get_manager(), options).run()
    log.info("worker stopped: %s", reason.value)
    sys.exit(reason.exit_code)


def _log_to_stderr(verbose: int) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format=_LOG_FORMAT, stream=sys.stderr)


def _params() -> list[click.Parameter]:
    return [
        click.Argument(["connection"], required=False),
        _option("queues", str, callback=_names, help="Queues, the most urgent first: a,b,c."),
        click.Option(
            ["--weighted"],
            is_flag=True,
            help="Serve queues by weight instead: --queue=a:3,b:1 gives `a` three jobs of four.",
        ),
        _option("tries", int, help="Attempts of a job that says nothing itself; 0: no limit."),
        _option("timeout", float, help="Seconds such a job may run; 0: no limit."),
        _option("backoff", str, callback=_spans, help="Seconds before a retry: 5, or 1,5,30."),
        _option("sleep", float, help="Seconds between two looks while paused."),
        _option("rest", float, help="Seconds to rest after each job."),
        _option("max_jobs", int, help="Stop after so many jobs; 0: never."),
        _option("max_time", float, help="Stop after so many seconds; 0: never."),
        _option("memory", float, help="Stop when a child has so many MiB; 0: never."),
        _option("concurrency", int, help="Jobs to run at once, in threads, or on one event loop."),
        _option("core", int, help="Keep the jobs to this core, counted from 0; -1: the last one."),
        _option("once", bool, help="Run one job, if there is one, and stop."),
        _option("stop_when_empty", bool, help="Stop when no job is ready."),
        _option("force", bool, help="Work on paused queues, too."),
        click.Option(["-v", "--verbose"], count=True, help="Tell more; twice: everything."),
    ]


work = click.Command("work", callback=_work, help=_work.__doc__, params=_params())
"""Belongs into a group whose context's `obj` returns the QueueManager when called."""


def _listen(verbose: int, watch: tuple[str, ...], poll: float, **given: Any) -> None:
    """Work like `work`, but start a fresh process whenever a Python file changes: to develop with.

    Running jobs are finished before. All options of `work` are passed on to it.
    """
    _log_to_stderr(max(verbose, 1))
    if given["weighted"]:
        _weighed(given["queues"])  # or every worker would end with its error
    ends = any(given[name] for name in ("once", "stop_when_empty", "max_jobs", "max_time"))
    command = worker_command(sys.orig_argv, ("--watch", "--poll"))
    places = [Path(place) for place in watch]
    sys.exit(Listener(command, places, poll=poll, ends_with_worker=ends).run())


listen = click.Command(
    "listen",
    callback=_listen,
    help=_listen.__doc__,
    params=[
        *_params(),
        click.Option(
            ["--watch"],
            multiple=True,
            default=["."],
            show_default=True,
            metavar="PLACE",
            type=click.Path(exists=True),
            help="A folder or a file to watch; may be repeated.",
        ),
        click.Option(
            ["--poll"],
            type=Amount(min=0, min_open=True),
            default=1.0,
            show_default=True,
            help="Seconds between two looks at them.",
        ),
    ],
)
