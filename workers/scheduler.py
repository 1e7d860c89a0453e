"""``python -m workers scheduler``: runs the schedule; of several one leads and the others wait."""

from __future__ import annotations

import click

from meet2be.bootstrap import bootstrap, check_database
from meet2be.config import Settings
from meet2be.telemetry import log_to_standard_output
from onqueue.console.schedule import work


@click.command(
    "scheduler", context_settings={"ignore_unknown_options": True, "help_option_names": []}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def scheduler(arguments: tuple[str, ...]) -> None:
    """Run the schedule; takes the options of ``schedule work``."""
    settings = Settings.from_env()
    log_to_standard_output(settings.log_level)
    services = bootstrap(settings)
    check_database(services)
    work.main(list(arguments), prog_name="workers scheduler", obj=lambda: services.queues)
