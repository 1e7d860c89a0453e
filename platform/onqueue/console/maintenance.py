"""`maintenance`: have workers idle while something is under repair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from onqueue.errors import UnsupportedByDriver
from onqueue.quotas import Pause, PausesWork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onqueue.connections import QueueManager

_KIND: Final = "maintenance"


def commands(get_manager: Callable[[], QueueManager]) -> list[click.Command]:
    """Return the commands of this module."""
    return [_maintenance(get_manager)]


def _maintenance(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("maintenance")
    @click.argument("what", type=click.Choice(["on", "off", "status"]))
    @click.argument("connection", required=False)
    @click.option("--reason", default="", help="Shown wherever the maintenance is.")
    def maintenance(what: str, connection: str | None, reason: str) -> None:
        """Have the workers of all connections (or of one) idle, or work again.

        Running jobs go on to their end, and workers started with --force work on. Pauses are
        another matter: they stay as they are.
        """
        for target in _targets(get_manager(), connection):
            if what == "on":
                target.pause_work(Pause(_KIND, reason=reason))
            elif what == "off":
                target.resume_work(_KIND, "")
            click.echo(f"{_name(target)}: {_state(target)}")

    return maintenance


def _targets(manager: QueueManager, connection: str | None) -> Iterator[PausesWork]:
    """Yield the connections that know maintenance; raises when the only one asked for does not."""
    names = [manager.config(connection).name] if connection else list(manager.configs)
    for name in names:
        target = manager.connection(name)
        if isinstance(target, PausesWork):
            yield target
        elif connection:
            driver = target.config.driver
            raise UnsupportedByDriver("queue maintenance", target.name, driver, "maintenance")


def _name(target: object) -> str:
    return f"Connection {getattr(target, 'name', '')!r}"


def _state(target: PausesWork) -> str:
    for pause in target.pauses():
        if pause.kind == _KIND:
            return f"in maintenance ({pause.reason})" if pause.reason else "in maintenance"
    return "no maintenance"
