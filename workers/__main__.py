"""``python -m workers NAME``: start one of the long-running processes.

``queue CONNECTION --queue=a,b`` serves queues, ``relay`` hands over what was committed,
``scheduler`` runs what is due; each runs until told to stop.
"""

from __future__ import annotations

import click

from meet2be.errors import Meet2BeError
from onqueue.errors import OnQueueError
from workers.queue_worker import queue
from workers.relay import relay
from workers.scheduler import scheduler


class Processes(click.Group):
    """Turns a process's refusal to start into one clear sentence."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the process; an error an operator can act on becomes click's."""
        try:
            return super().invoke(ctx)
        except (Meet2BeError, OnQueueError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Processes)
def main() -> None:
    """Run one of the platform's long-running processes."""


main.add_command(queue)
main.add_command(relay)
main.add_command(scheduler)

if __name__ == "__main__":
    main()
