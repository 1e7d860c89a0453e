"""`monitor`: tell when queues get too long or too old, once, and when that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from onqueue.console.amounts import Amount
from onqueue.console.output import print_json, print_table
from onqueue.errors import BrokerUnavailable
from onqueue.monitor import Limits, Seen, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onqueue.connections import QueueManager

BUSY = 3
"""Exit code of `--exit-code` when a queue is at a limit."""


def commands(get_manager: Callable[[], QueueManager]) -> list[click.Command]:
    """Return the command."""

    @click.command("monitor")
    @click.argument("queues", nargs=-1, required=True, metavar="QUEUES…")
    @click.option(
        "--max",
        "most",
        type=click.IntRange(min=1),
        default=1000,
        show_default=True,
        help="Jobs without an outcome from which a queue is busy.",
    )
    @click.option(
        "--max-age",
        type=Amount(min=0, min_open=True),
        metavar="S",
        help="Seconds since its oldest ready job was dispatched from which it is busy.",
    )
    @click.option(
        "--max-failed",
        type=click.IntRange(min=1),
        help="Jobs that failed within --within from which it is busy.",
    )
    @click.option(
        "--within",
        type=Amount(min=0, min_open=True),
        default=3600,
        show_default=True,
        metavar="S",
        help="Seconds that --max-failed looks back.",
    )
    @click.option(
        "--remind",
        type=Amount(min=0),
        default=0,
        metavar="S",
        help="Tell a breach that goes on again after so many seconds (0: never).",
    )
    @click.option(
        "--every",
        type=Amount(min=0, min_open=True),
        metavar="S",
        help="Look again after so many seconds, until interrupted.",
    )
    @click.option("--exit-code", is_flag=True, help="End with 3 when a queue is busy.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def monitor(
        queues: tuple[str, ...],
        most: int,
        max_age: float | None,
        max_failed: int | None,
        within: float,
        remind: float,
        every: float | None,
        *,
        exit_code: bool,
        as_json: bool,
    ) -> None:
        """Send the event `queue_busy` once when a queue gets busy and once when that is over.

        QUEUES are names like redis:default,redis:exports; without a connection it is the
        manager's own, without a queue the connection's. What was told is kept in the broker:
        several monitors, and one started anew, tell it once.
        """
        if every is not None and exit_code:
            raise click.UsageError("--every never ends by itself, so it has no --exit-code.")
        manager = get_manager()
        names = _named(manager, queues)
        limits = Limits(most, max_age, remind, max_failed, within)
        while every is not None:
            _look_again(manager, names, limits, as_json=as_json)
            manager.clock.sleep(every)
        seen = watch(manager, names, limits)
        _tell(seen, as_json=as_json)
        if exit_code and any(one.is_busy for one in seen):
            click.get_current_context().exit(BUSY)

    return [monitor]


def _look_again(
    manager: QueueManager, names: Sequence[tuple[str, str]], limits: Limits, *, as_json: bool
) -> None:
    try:
        seen = watch(manager, names, limits)
    except BrokerUnavailable as error:
        # It comes back, and whoever watches is needed most then.
        click.echo(str(error), err=True)
    else:
        _tell(seen, as_json=as_json)


def _named(manager: QueueManager, given: Sequence[str]) -> list[tuple[str, str]]:
    """Return (connection, queue) of each name; raises `UnknownConnection`."""
    names = [part.strip() for text in given for part in text.split(",") if part.strip()]
    found = []
    for name in names:
        connection, colon, queue = name.partition(":")
        if not colon and connection not in manager.configs:
            connection, queue = "", name
        config = manager.config(connection or None)
        found.append((config.name, queue or config.queue))
    return found


def _tell(seen: Sequence[Seen], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "connection": one.connection,
                    "queue": one.queue,
                    "size": one.size,
                    "age": one.age,
                    "failed": one.failed,
                    "busy": list(one.breaches),
                }
                for one in seen
            ]
        )
        return
    rows = [
        (
            one.connection,
            one.queue,
            one.size,
            "" if one.age is None else f"{one.age:.1f}",
            "" if one.failed is None else one.failed,
            " and ".join(one.breaches) or "",
        )
        for one in seen
    ]
    heads = ("CONNECTION", "QUEUE", "JOBS", "OLDEST (S)", "FAILED", "BUSY BY")
    print_table(heads, rows, numbers=(2, 3, 4))
