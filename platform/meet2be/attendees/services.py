"""Bringing attendees into an event from a list.

The list is read and checked as a whole first: a file that is no list changes nothing. Then orders
are written, each whole or not at all, in transactions of a few hundred rows. A run that was killed
leaves what was committed; the same list imported again adds the rest and nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from meet2be import facts
from meet2be.attendees.csv_rows import ORDER, RawRow, opened, rows_of
from meet2be.attendees.errors import EventClosedError
from meet2be.attendees.order_plans import PlannedOrder, plan_order
from meet2be.attendees.report import ImportReport, Issue
from meet2be.attendees.row_parsing import Expected
from meet2be.attendees.staging import Staging, WaitingRow, staging
from meet2be.attendees.writing import Target, write_orders
from meet2be.audit.services import SYSTEM, Actor, record
from meet2be.db import Database
from meet2be.events.errors import EventNotFoundError
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event
from meet2be.language import Message
from meet2be.tenancy.models import Tenant

BATCH_ROWS: Final = 500
_OPEN: Final = ("draft", "live")
# Another import of the same rows may commit between our look and our insert; then we look again.
_TRIES: Final = 3


def import_file(
    database: Database,
    tenant_id: int,
    event_id: int,
    source: str | Path | BinaryIO,
    *,
    actor: Actor = SYSTEM,
    on_issue: Callable[[Issue], None] | None = None,
) -> ImportReport:
    """Add the attendees of a list to an event and return what was and was not taken.

    `on_issue` hears every remark; the report keeps the first few thousand. Raises an
    ImportRefusedError when nothing can be taken, EventNotFoundError for an unknown event.
    """
    job = _Import(database, tenant_id, event_id, actor)
    with opened(source) as (name, file), staging() as waiting:
        expected = job.look_up()
        for row in rows_of(name, file):
            code = row.values.get(ORDER, "").strip()
            waiting.add(row.number, code, [dict(row.values), _text(row.problem)])
        report = ImportReport(name, rows=waiting.rows, on_issue=on_issue)
        for orders in job.batches(waiting, expected, report):
            report.merge(job.write(orders, name))
        job.note(report)
    return report


@dataclass(frozen=True, slots=True)
class _Import:
    database: Database
    tenant_id: int
    event_id: int
    actor: Actor

    def look_up(self) -> Expected:
        """Return what the event expects of its rows."""
        with self.database.tenant_session(self.tenant_id, read_only=True) as session:
            event = session.get(Event, self.event_id)
            if event is None:
                raise EventNotFoundError(str(self.event_id))
            check_open(event)
            locale = session.scalars(select(Tenant.locale)).one()
        return Expected(event.currency, locale)

    def batches(
        self, waiting: Staging, expected: Expected, report: ImportReport
    ) -> Iterator[list[PlannedOrder]]:
        """Yield the orders that can be taken, a transaction's worth at a time."""
        batch: list[PlannedOrder] = []
        rows = 0
        for together in waiting.orders():
            planned = plan_order([_raw(row) for row in together], expected, report)
            if planned is None:
                continue
            batch.append(planned)
            rows += len(planned.rows)
            if rows >= BATCH_ROWS:
                yield batch
                batch, rows = [], 0
        if batch:
            yield batch

    def write(self, orders: list[PlannedOrder], name: str) -> ImportReport:
        """Write one batch and return what became of it."""
        tries = 0
        while True:
            tries += 1
            part = ImportReport(name)
            try:
                with self.database.tenant_session(self.tenant_id) as session:
                    event = session.get_one(Event, self.event_id, with_for_update=True)
                    check_open(event)
                    tenant = session.scalars(select(Tenant)).one()
                    target = Target(
                        tenant.id, tenant.slug, event.id, event.currency, event.test_mode
                    )
                    write_orders(session, target, orders, part)
                    if part.added:
                        facts.note(session, EventDataStale(event.uid))
                    session.commit()
            except IntegrityError:
                if tries == _TRIES:
                    raise
            else:
                return part

    def note(self, report: ImportReport) -> None:
        """Write the import into the audit log."""
        with self.database.tenant_session(self.tenant_id) as session:
            event = session.get_one(Event, self.event_id)
            after = {
                "file": report.file,
                "rows": report.rows,
                "added": report.added,
                "already_there": report.already_there,
                "refused": report.refused,
            }
            record(session, self.actor, "attendees.imported", "event", event.uid, after=after)
            session.commit()


def _text(problem: Message | str | None) -> str | None:
    return None if problem is None else str(problem)


def _raw(row: WaitingRow) -> RawRow:
    values, problem = row.data
    return RawRow(row.number, values, row.problem or problem)


def check_open(event: Event) -> None:
    """Raise EventClosedError when the event takes no attendees."""
    if event.status not in _OPEN:
        raise EventClosedError(event.slug, event.status)
