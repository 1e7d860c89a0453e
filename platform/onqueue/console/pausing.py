"""Commands about pauses: pause, resume, paused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from onqueue.config import QUEUE_NAME, is_queue_name
from onqueue.console.amounts import Amount
from onqueue.console.output import print_json, print_table
from onqueue.errors import UnsupportedByDriver
from onqueue.quotas import Pause, PausesWork

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.connections import QueueManager
    from onqueue.contracts import Queue
    from onqueue.quotas import PauseKind


def commands(get_manager: Callable[[], QueueManager]) -> list[click.Command]:
    """Return the commands of this module."""
    return [_pause(get_manager), _resume(get_manager), _paused(get_manager)]


def _pause(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("pause")
    @click.argument("connection", required=False)
    @click.option("--queue", help="Only this queue (default: the whole connection).")
    @click.option("--job", help="Only jobs of this name, on all queues.")
    @click.option("--tenant", help="Only jobs of this tenant, on all queues.")
    @click.option("--reason", default="", help="Shown wherever the pause is.")
    @click.option(
        "--for",
        "seconds",
        type=Amount(min=0, min_open=True),
        metavar="S",
        help="Only for so many seconds.",
    )
    def pause(
        connection: str | None,
        queue: str | None,
        job: str | None,
        tenant: str | None,
        reason: str,
        seconds: float | None,
    ) -> None:
        """Hand out no more jobs until `resume`, or for some seconds; running ones go on.

        Jobs of a paused name or tenant wait parked and come back in order.
        """
        manager = get_manager()
        target = manager.connection(connection)
        kind, name = _subject(queue, job, tenant)
        if kind == "queue" and not is_queue_name(name):
            raise click.UsageError(f"{name!r} is no name of a queue: {QUEUE_NAME}.")
        until = None if seconds is None else manager.clock.time() + seconds
        if kind in {"job", "tenant"}:
            _work_of(target, "queue pause").pause_work(Pause(kind, name, reason, until))
        else:
            _need_pauses(target, "queue pause")
            target.pause(queue, reason, until)
        span = "" if seconds is None else f" for {seconds:g} s"
        click.echo(f"{_what(target, kind, name)} is paused{span}.")

    return pause


def _resume(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("resume")
    @click.argument("connection", required=False)
    @click.option("--queue", help="Only this queue (default: the whole connection).")
    @click.option("--job", help="Jobs of this name.")
    @click.option("--tenant", help="Jobs of this tenant.")
    def resume(
        connection: str | None, queue: str | None, job: str | None, tenant: str | None
    ) -> None:
        """Hand out jobs again."""
        target = get_manager().connection(connection)
        kind, name = _subject(queue, job, tenant)
        if kind in {"job", "tenant"}:
            was_paused = _work_of(target, "queue resume").resume_work(kind, name)
        else:
            _need_pauses(target, "queue resume")
            was_paused = (queue or "") in target.paused()
            target.resume(queue)
        now = "is resumed" if was_paused else "was not paused"
        click.echo(f"{_what(target, kind, name)} {now}.")
        left = [_named(pause) for pause in _pauses(target)]
        if left:
            click.echo(f"Still paused: {', '.join(left)}.")

    return resume


def _paused(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("paused")
    @click.argument("connection", required=False)
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def paused(connection: str | None, *, as_json: bool) -> None:
        """List what is paused, of all connections or of one, until when and why."""
        manager = get_manager()
        names = [manager.config(connection).name] if connection else list(manager.configs)
        rows = []
        for target in map(manager.connection, names):
            if "pause" in target.supports:
                rows += [
                    (target.name, pause.kind, pause.name, _moment(pause.until), pause.reason)
                    for pause in _pauses(target)
                ]
        heads = ("connection", "what", "name", "until", "reason")
        if as_json:
            print_json([dict(zip(heads, row, strict=True)) for row in rows])
        elif rows:
            shown = [(row[0], row[1], row[2], row[3] or "resumed", row[4]) for row in rows]
            print_table([head.upper() for head in heads], shown)
        else:
            click.echo("Nothing is paused.")

    return paused


def _subject(queue: str | None, job: str | None, tenant: str | None) -> tuple[PauseKind, str]:
    asked: tuple[tuple[PauseKind, str | None], ...] = (
        ("queue", queue),
        ("job", job),
        ("tenant", tenant),
    )
    given = [(kind, name) for kind, name in asked if name is not None]
    if len(given) > 1:
        raise click.UsageError("Give only one of --queue, --job and --tenant.")
    if given and not given[0][1]:
        # Of an unset variable, most likely: it must not come to mean the whole connection.
        raise click.UsageError(f"--{given[0][0]} is empty: name one, or leave the option out.")
    return given[0] if given else ("connection", "")


def _work_of(target: Queue, command: str) -> PausesWork:
    if isinstance(target, PausesWork):
        return target
    need = "pausing by job or tenant"
    raise UnsupportedByDriver(command, target.name, target.config.driver, need)


def _need_pauses(target: Queue, command: str) -> None:
    if "pause" not in target.supports:
        raise UnsupportedByDriver(command, target.name, target.config.driver, "pause")


def _pauses(target: Queue) -> list[Pause]:
    if isinstance(target, PausesWork):
        return target.pauses()
    paused = sorted(target.paused().items())
    return [Pause("queue" if name else "connection", name, reason) for name, reason in paused]


def _moment(until: float | None) -> str | None:
    if until is None:
        return None
    return datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds")


def _named(pause: Pause) -> str:
    if pause.kind == "connection":
        return "the whole connection"
    if pause.kind == "maintenance":
        return "its maintenance (`queue maintenance off`)"
    return repr(pause.name) if pause.kind == "queue" else f"{pause.kind} {pause.name!r}"


def _what(target: Queue, kind: PauseKind, name: str) -> str:
    if kind == "connection":
        return f"Connection {target.name!r}"
    return f"{kind.capitalize()} {name!r} of {target.name!r}"
