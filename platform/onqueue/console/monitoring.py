"""`monitor`: tell when queues get too long or too old, once, and when that is over."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Never, TypeVar

import click

from onqueue.console.amounts import Amount
from onqueue.console.output import print_json, print_table
from onqueue.errors import BrokerUnavailable
from onqueue.monitor import Limits, Seen, watch
from onqueue.schedule.troubles import Trouble, watch_scheduler, watch_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onqueue.connections import QueueManager

Function = TypeVar("Function", bound="Callable[..., Any]")

BUSY = 3
"""Exit code of `--exit-code` when a queue is at a limit."""


_OPTIONS = (
    click.option(
        "--max",
        "most",
        type=click.IntRange(min=1),
        default=1000,
        show_default=True,
        help="Jobs without an outcome from which a queue is busy.",
    ),
    click.option(
        "--max-age",
        type=Amount(min=0, min_open=True),
        metavar="S",
        help="Seconds since its oldest ready job was dispatched from which it is busy.",
    ),
    click.option(
        "--max-failed",
        type=click.IntRange(min=1),
        help="Jobs that failed within --within from which it is busy.",
    ),
    click.option(
        "--within",
        type=Amount(min=0, min_open=True),
        default=3600,
        show_default=True,
        metavar="S",
        help="Seconds that --max-failed looks back.",
    ),
    click.option(
        "--remind",
        type=Amount(min=0),
        default=0,
        metavar="S",
        help="Tell a breach that goes on again after so many seconds (0: never).",
    ),
    click.option(
        "--every",
        type=Amount(min=0, min_open=True),
        metavar="S",
        help="Look again after so many seconds, until interrupted.",
    ),
    click.option(
        "--server",
        is_flag=True,
        help="Tell, too, when the server of a queue's connection may lose jobs.",
    ),
    click.option(
        "--scheduler",
        is_flag=True,
        help="Tell, too, when nobody leads the schedule; the event waits for a minute first.",
    ),
    click.option(
        "--exit-code", is_flag=True, help="End with 3 when a queue is busy or there is trouble."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def commands(get_manager: Callable[[], QueueManager]) -> list[click.Command]:
    """Return the command."""

    @click.command("monitor")
    @click.argument("queues", nargs=-1, required=True, metavar="QUEUES…")
    @_options
    def monitor(
        queues: tuple[str, ...],
        most: int,
        max_age: float | None,
        max_failed: int | None,
        within: float,
        remind: float,
        every: float | None,
        *,
        server: bool,
        scheduler: bool,
        exit_code: bool,
        as_json: bool,
    ) -> None:
        """Send the event `queue_busy` once when a queue gets busy and once when that is over.

        With --server and --scheduler likewise the event `connection_troubled`.

        QUEUES are names like redis:default,redis:exports; without a connection it is the
        manager's own, without a queue the connection's. What was told is kept in the broker:
        several monitors, and one started anew, tell it once.
        """
        if every is not None and exit_code:
            raise click.UsageError("--every never ends by itself, so it has no --exit-code.")
        manager = get_manager()
        limits = Limits(most, max_age, remind, max_failed, within)
        look = _Look(manager, _named(manager, queues), limits, server, scheduler, as_json)
        if every is not None:
            look.again_and_again(every)
        look.once(is_telling=exit_code)

    return [monitor]


def _options(function: Function) -> Function:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class _Look:
    """What is looked at, how often ever."""

    manager: QueueManager
    names: Sequence[tuple[str, str]]
    limits: Limits
    server: bool
    scheduler: bool
    as_json: bool

    def __call__(self) -> bool:
        """Look once, and print what is there; True when something is to be told."""
        manager, remind = self.manager, self.limits.remind
        troubles: list[Trouble | None] = []
        if self.server:  # first, as what follows needs a server that can be written to
            connections = list(dict.fromkeys(connection for connection, _ in self.names))
            troubles += watch_servers(manager, connections, remind=remind)
        seen = watch(manager, self.names, self.limits)
        if self.scheduler:
            troubles.append(watch_scheduler(manager, remind=remind))
        found = [trouble for trouble in troubles if trouble is not None and trouble.why]
        _tell(seen, found, as_json=self.as_json)
        return bool(found) or any(one.is_busy for one in seen)

    def once(self, *, is_telling: bool) -> None:
        """Look once, and end with `BUSY` where that is asked for and there is something."""
        if self() and is_telling:
            click.get_current_context().exit(BUSY)

    def again_and_again(self, every: float) -> Never:
        """Look every so many seconds until interrupted."""
        while True:
            self.patiently()
            self.manager.clock.sleep(every)

    def patiently(self) -> None:
        """Look once; a broker that is away comes back, and whoever watches is needed most then."""
        try:
            self()
        except BrokerUnavailable as error:
            click.echo(str(error), err=True)


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


def _tell(seen: Sequence[Seen], troubles: Sequence[Trouble], *, as_json: bool) -> None:
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
            + [asdict(trouble) for trouble in troubles]
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
    for trouble in troubles:
        click.echo(f"{trouble.connection}, {trouble.kind}: {trouble.why}")
