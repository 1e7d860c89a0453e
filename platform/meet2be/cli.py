"""``meet2be …``: the platform from a terminal.

Every command ends with 0 when it did what it was asked, with 1 when it refused and said why, with 2
when it was called wrongly.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import click
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from meet2be.audit.retries import note_retries
from meet2be.audit.services import Actor
from meet2be.bootstrap import Services, bootstrap, check_database
from meet2be.config import Settings
from meet2be.db.errors import is_away
from meet2be.errors import Meet2BeError
from onqueue import QueueManager
from onqueue.console import build_group, build_schedule_group
from onqueue.errors import OnQueueError


class Command(click.Group):
    """A group whose commands' refusals end as one clear sentence instead of a trace."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an error of the platform becomes click's."""
        try:
            return super().invoke(ctx)
        except (Meet2BeError, OnQueueError) as error:
            raise click.ClickException(str(error)) from error
        except DBAPIError as error:
            if not is_away(error):
                raise
            raise click.ClickException(
                f"the database is busy or cannot be reached ({error.orig}). What was committed "
                "before stays. Try the same command again."
            ) from error


@cache
def _services() -> Services:
    return bootstrap(Settings.from_env())


@click.group(cls=Command)
def main() -> None:
    """Meet2Be from a terminal."""


@cache
def _queues() -> QueueManager:
    """Return the queues for an operator: what is put back by hand leaves an audit entry."""
    services = _services()
    note_retries(services.database, Actor("operator", f"uid {os.getuid()}"))
    return services.queues


main.add_command(build_group(_queues), "queue")
main.add_command(build_schedule_group(lambda: _services().queues), "schedule")


@main.group()
def db() -> None:
    """The database's tables."""


@db.command()
def upgrade() -> None:
    """Bring the tables to what this release needs."""
    from meet2be.db.migrating import grant_runtime
    from meet2be.db.migrating import upgrade as bring_up

    database = Settings.from_env().database
    bring_up(database.owner_url)
    role = make_url(database.url).username
    if role and database.owner_url != database.url:
        grant_runtime(database.owner_url, role)
    click.echo("The database is up to date.")


@main.group()
def attendees() -> None:
    """The people of an event."""


@attendees.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--tenant", "tenant_slug", required=True, help="The organisation's short name.")
@click.option("--event", "event_slug", required=True, help="The event's short name.")
@click.option("--errors", type=click.IntRange(min=0), default=50, show_default=True,
              help="How many rows that were not taken to print.")  # fmt: skip
def import_attendees(file: Path, tenant_slug: str, event_slug: str, errors: int) -> None:
    """Read FILE, a shop's list as CSV, into an event; says row by row what was not taken."""
    from meet2be.attendees.console import import_and_report

    services = _services()
    check_database(services)
    problems = import_and_report(services, file, tenant_slug, event_slug, errors)
    sys.exit(1 if problems else 0)


@main.group()
def local() -> None:
    """Parts of a platform on one desk; Supervisor runs these."""


@local.command()
def valkey() -> None:
    """Become the embedded Valkey of VAR_DIR."""
    from meet2be.local.valkey import ValkeyServer

    ValkeyServer(Settings.from_env().var_dir / "valkey").exec_foreground()


@main.command()
def up() -> None:
    """Start the platform and leave it running; prints the address and the demo log-ins."""
    from meet2be.local.commands import start_and_tell

    start_and_tell()


@main.command()
def down() -> None:
    """Stop what `meet2be up` started."""
    from meet2be.local.commands import stop_and_tell

    stop_and_tell()


@main.command()
def supervisor() -> None:
    """Become Supervisor with the production programs; the settings come from the environment."""
    from meet2be.local.commands import become_supervisor

    become_supervisor()


if __name__ == "__main__":
    main()
