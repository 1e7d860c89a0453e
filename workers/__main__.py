"""``python -m workers NAME``: start one of the long-running processes.

``queue CONNECTION --queue=a,b`` serves queues; ``relay`` hands over what was committed; both run
until told to stop.
"""

from __future__ import annotations

import click

from workers.queue_worker import queue
from workers.relay import relay


@click.group()
def main() -> None:
    """Run one of the platform's long-running processes."""


main.add_command(queue)
main.add_command(relay)

if __name__ == "__main__":
    main()
