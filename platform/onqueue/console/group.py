"""A group of commands that tells errors in one line, and the nearest name for one it misses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from onqueue.errors import OnQueueError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.connections import QueueManager

FAILED = 1
"""Exit code when something asked for could not be done; 2 is for wrong usage."""


class QueueGroup(click.Group):
    """Turns the core's errors into a message and exit code 1."""

    def __init__(
        self,
        name: str,
        get_manager: Callable[[], QueueManager],
        text: str = "Work on queues and look after their jobs.",
    ) -> None:
        """Make a group without commands; they find `get_manager` as the context's `obj`."""
        super().__init__(name, help=text, no_args_is_help=True, callback=_nothing)
        self._get_manager = get_manager

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; raises `click.ClickException` for errors an operator can act on."""
        ctx.obj = self._get_manager
        try:
            return super().invoke(ctx)
        except OnQueueError as error:
            raise click.ClickException(str(error)) from error
        except Exception as error:
            # The libraries of stores are extras: their errors are known by where they come from.
            if not type(error).__module__.startswith(("sqlalchemy.", "botocore.")):
                raise
            cause = getattr(error, "orig", None) or error
            raise click.ClickException(
                f"The database did not do what was asked: {cause} "
                "(is it there, and are its migrations applied?)"
            ) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is a usage error with the nearest name."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            hint = nearest(args[0], self.commands)
            raise click.UsageError(f"There is no command {args[0]!r}{hint}.", ctx)
        return super().resolve_command(ctx, args)


def _nothing(**_: object) -> None:
    """Accept the options of the group: commands read them from the context."""
