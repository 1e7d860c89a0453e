"""Commands about queues: size, clear, restart, replay-unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import click

from onqueue.console.output import plural, print_json, print_table
from onqueue.errors import UnsupportedByDriver, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onqueue.connections import QueueManager
    from onqueue.contracts import JobId, Queue


@runtime_checkable
class Restartable(Protocol):
    """A connection whose workers can be told to start anew."""

    def request_restart(self) -> None:
        """Let every worker end after its current job."""
        ...


@runtime_checkable
class KeepsUnknown(Protocol):
    """A connection that parks jobs whose class no worker knows."""

    def replay_unknown(self, name: str | None = None) -> int:
        """Put them back on their queues; return how many."""
        ...


@runtime_checkable
class Discards(Protocol):
    """An outbox that can forget jobs which an operator removed."""

    def open_ids(self, connection_name: str, queue: str) -> list[JobId]:
        """Return the jobs of a queue without an outcome."""
        ...

    def discard(self, ids: Sequence[JobId]) -> int:
        """Delete their rows; return how many."""
        ...


def commands(get_manager: Callable[[], QueueManager]) -> list[click.Command]:
    """Return the commands of this module."""
    return [
        _size(get_manager),
        _clear(get_manager),
        _restart(get_manager),
        _replay_unknown(get_manager),
    ]


def _size(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("size")
    @click.argument("connection", required=False)
    @click.option("--queue", "queues", help="Only these queues, separated by commas.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def size(connection: str | None, queues: str | None, *, as_json: bool) -> None:
        """Tell how many jobs wait, run or are parked (of all connections, or of one)."""
        manager = get_manager()
        names = [manager.config(connection).name] if connection else list(manager.configs)
        wanted = _split(queues)
        rows = [
            row for name in names for row in _sizes(manager.connection(name), wanted, connection)
        ]
        heads = ("connection", "queue", "ready", "delayed", "reserved", "parked", "total", "paused")
        if as_json:
            print_json([dict(zip(heads, row, strict=True)) for row in rows])
        else:
            shown = [(*row[:-1], "" if row[-1] is None else row[-1] or "yes") for row in rows]
            print_table([head.upper() for head in heads], shown, numbers=(2, 3, 4, 5, 6))

    return size


def _clear(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("clear")
    @click.argument("connection", required=False)
    @click.option("--queue", help="The queue (default: the connection's own).")
    @click.option("--force", is_flag=True, help="Do not ask.")
    def clear(connection: str | None, queue: str | None, *, force: bool) -> None:
        """Delete all jobs that wait on a queue for good; running ones go on."""
        manager = get_manager()
        target = manager.connection(connection)
        name = queue or target.config.queue
        check_queue(target, name)
        if not force:
            waiting = plural(target.size(name).total, "job")
            click.confirm(
                f"Delete what waits on queue {name!r} of {target.name!r} ({waiting})?", abort=True
            )
        gone = target.clear(name)
        _discard(manager, target, name)
        click.echo(f"{plural(gone, 'job')} deleted from queue {name!r} of {target.name!r}.")

    return clear


def _restart(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("restart")
    @click.argument("connection", required=False)
    def restart(connection: str | None) -> None:
        """Let all workers end after their current job, to be started anew by their supervisor."""
        manager = get_manager()
        names = [manager.config(connection).name] if connection else list(manager.configs)
        told = []
        for name in names:
            target = manager.connection(name)
            if isinstance(target, Restartable):
                target.request_restart()
                told.append(name)
            elif connection:
                raise _unsupported(target, "queue restart", "workers")
        known = ", ".join(map(repr, told)) or "no connection: none has workers"
        click.echo(f"Restart requested from the workers of {known}.")

    return restart


def _replay_unknown(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("replay-unknown")
    @click.argument("job", required=False)
    @click.option("--connection", help="The connection (default: the manager's own).")
    def replay_unknown(job: str | None, connection: str | None) -> None:
        """Put jobs back that were parked because no worker knew their name (or just one name's)."""
        target = get_manager().connection(connection)
        if not isinstance(target, KeepsUnknown):
            raise _unsupported(target, "queue replay-unknown", "parking")
        back = target.replay_unknown(job)
        click.echo(f"{plural(back, 'parked job')} put back on {target.name!r}.")

    return replay_unknown


def _sizes(
    target: Queue, wanted: Sequence[str], connection: str | None
) -> list[tuple[str, str, int, int, int, int, int, str | None]]:
    if "size" not in target.supports:
        if connection:
            raise _unsupported(target, "queue size", "counting")
        return []
    paused = target.paused() if "pause" in target.supports else {}
    names = wanted or sorted({target.config.queue, *target.queues(), *filter(None, paused)})
    rows = []
    for name in names:
        size = target.size(name)
        reason = paused.get(name, paused.get(""))
        counts = (size.ready, size.delayed, size.reserved, size.parked, size.total)
        rows.append((target.name, name, *counts, reason))
    return rows


def check_queue(target: Queue, name: str) -> None:
    """Raise `click.ClickException` with the nearest name for a queue that is not there."""
    known = {target.config.queue, *target.queues()}
    if name not in known:
        raise click.ClickException(
            f"Connection {target.name!r} has no queue {name!r}{nearest(name, known)} "
            f"(known: {', '.join(map(repr, sorted(known)))})"
        )


def _discard(manager: QueueManager, target: Queue, name: str) -> None:
    """Without this the reconciler would bring durable jobs back, as if they had been lost."""
    outbox: object = manager.outbox
    if not isinstance(outbox, Discards):
        return
    discard_lost(manager, target, outbox.open_ids(target.name, name))


def discard_lost(manager: QueueManager, target: Queue, ids: Sequence[JobId]) -> None:
    """Let the outbox forget those of the jobs that the broker no longer has."""
    outbox: object = manager.outbox
    if ids and isinstance(outbox, Discards):
        known = target.knows(ids)
        outbox.discard([job_id for job_id in ids if job_id not in known])


def _unsupported(target: Queue, command: str, need: str) -> UnsupportedByDriver:
    return UnsupportedByDriver(command, target.name, target.config.driver, need)


def _split(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",") if name.strip()]
