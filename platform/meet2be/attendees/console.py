"""What `meet2be attendees import` does and says."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import click

from meet2be.attendees.report import ImportReport, Issue
from meet2be.attendees.services import import_file
from meet2be.audit.services import Actor
from meet2be.db import Database
from meet2be.events.services import find_event
from meet2be.money import plain
from meet2be.tenancy.services import find_tenant


class HasDatabase(Protocol):
    """The part of the platform's services that is needed here."""

    @property
    def database(self) -> Database:
        """The database."""


def import_and_report(
    services: HasDatabase, file: Path, tenant_slug: str, event_slug: str, shown: int
) -> int:
    """Import a list, print its outcome, and return how many rows were not taken.

    Of the rows not taken the first `shown` are printed, one a line, and as many warnings. Raises
    ImportRefusedError, TenantNotFoundError or EventNotFoundError with nothing changed.
    """
    with services.database.system_session("find an organisation by name", read_only=True) as look:
        tenant_id = find_tenant(look, tenant_slug).id
    with services.database.tenant_session(tenant_id, read_only=True) as session:
        event_id = find_event(session, event_slug).id
    report = import_file(
        services.database, tenant_id, event_id, file, actor=Actor("system", "meet2be attendees")
    )
    _tell(report, shown)
    return report.refused


def _tell(report: ImportReport, shown: int) -> None:
    click.echo(report.summary())
    _tell_issues("Not taken", [each for each in report.issues if each.severity == "refused"], shown)
    _tell_issues("Warnings", [each for each in report.issues if each.severity == "warning"], shown)
    if report.issues_left_out:
        click.echo(f"{report.issues_left_out:,} further remarks were not kept: mend these first.")
    if report.added:
        states = ", ".join(f"{count:,} {state}" for state, count in report.by_state.most_common())
        click.echo(f"By payment state: {states}.")
        for currency, paid in report.paid_minor.items():
            refunded = plain(report.refunded_minor[currency], currency)
            click.echo(f"Prices {plain(paid, currency)} {currency}, refunded so far {refunded}.")
    if report.ticket_types_created:
        click.echo(f"New ticket types: {', '.join(sorted(set(report.ticket_types_created)))}.")
    if report.quotas_raised:
        click.echo(f"Quotas raised to what is sold: {', '.join(sorted(report.quotas_raised))}.")


def _tell_issues(title: str, issues: list[Issue], shown: int) -> None:
    if not issues:
        return
    click.echo(f"{title}:")
    for issue in issues[:shown]:
        click.echo(f"  {issue}")
    if len(issues) > shown:
        click.echo(f"  … and {len(issues) - shown:,} more; --errors prints more of them.")
