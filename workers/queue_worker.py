"""``python -m workers queue``: a worker of one connection, with the application around it."""

from __future__ import annotations

import click

from meet2be.bootstrap import bootstrap, check_database
from meet2be.config import Settings
from meet2be.telemetry import log_to_standard_output
from onqueue.console.work import work


@click.command("queue", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def queue(arguments: tuple[str, ...]) -> None:
    """Serve a connection; takes the options of ``queue work``."""
    settings = Settings.from_env()
    log_to_standard_output(settings.log_level)
    services = bootstrap(settings)
    check_database(services)
    work.main(list(arguments), prog_name="workers queue", obj=lambda: services.queues)
