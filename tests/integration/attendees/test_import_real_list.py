"""The list of 5,000 people, held against a count that shares no code with the import."""

import csv
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from meet2be.attendees.demo_list import DEMO_LIST
from meet2be.attendees.models import Attendee
from meet2be.attendees.report import ImportReport
from meet2be.attendees.services import import_file
from meet2be.audit.models import AuditEntry
from meet2be.db import Database
from meet2be.events.models import Event, TicketType
from meet2be.invoices.models import Invoice
from meet2be.orders.models import Order
from meet2be.payments.models import Payment
from meet2be.payments.queries import provider_payments
from meet2be.tenancy.models import Tenant
from onqueue.testing.clock import FakeClock
from support.factories import make_event, make_tenant

NOTES = {"=HYPERLINK(": 23, "-12 % discount": 12, "+49 0170": 61}


@dataclass
class Imported:
    """An event whose list was imported, in a database of the test's own."""

    database: Database
    tenant: Tenant
    event: Event
    report: ImportReport


@pytest.fixture(scope="module")
def imported_file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """The list in a file to copy: importing it takes seconds."""
    path = tmp_path_factory.mktemp("imported") / "meet2be.sqlite"
    shutil.copyfile(sqlite_template, path)
    database = Database(f"sqlite:///{path}", FakeClock())
    tenant = make_tenant(database, "aurora")
    event = make_event(database, tenant)
    report = import_file(database, tenant.id, event.id, DEMO_LIST)
    database.close()  # the last connection writes its log into the file
    return Imported(database, tenant, event, report)


@pytest.fixture
def imported(imported_file: Imported, tmp_path: Path, clock: FakeClock) -> Iterator[Imported]:
    """A copy of it."""
    path = tmp_path / "meet2be.sqlite"
    shutil.copyfile(str(imported_file.database.engine.url.database), path)
    database = Database(f"sqlite:///{path}", clock)
    yield Imported(database, imported_file.tenant, imported_file.event, imported_file.report)
    database.close()


def _rows() -> list[dict[str, str]]:
    with DEMO_LIST.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _cents(text: str) -> int:
    return int(Decimal(text.replace(",", ".")) * 100)


def test_every_row_and_every_cent_arrives(database: Database) -> None:
    rows = _rows()
    tenant = make_tenant(database, "aurora")
    event = make_event(database, tenant)

    report = import_file(database, tenant.id, event.id, DEMO_LIST)

    states = Counter(row["Payment state"] for row in rows)
    assert (report.rows, report.added, report.refused) == (5_000, 5_000, 0)
    assert report.by_state == states
    assert states == {
        "paid": 4_604, "free": 151, "partly refunded": 77, "pending": 74, "refunded": 71,
        "disputed": 23,
    }  # fmt: skip
    settled: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        kind = {"pending": "pending", "disputed": "disputed"}.get(row["Payment state"], "succeeded")
        if price := _cents(row["Price paid"]):
            settled[row["Order code"], kind][0] += price
            settled[row["Order code"], kind][1] += _cents(row["Refunded so far"])
    with database.tenant_session(tenant.id, read_only=True) as session:
        found = session.execute(
            select(Order.code, Payment.status, Payment.amount_minor, Payment.refunded_minor).join(
                Order, Order.id == Payment.order_id
            )
        )
        assert {(code, status): [paid, back] for code, status, paid, back in found} == settled
        orders = session.scalar(select(func.count(Order.id)))
        invoices = dict(session.execute(select(Invoice.number, Invoice.total_minor)).all())
        sold = dict(session.execute(select(TicketType.name, TicketType.sold)).all())
        quotas = dict(session.execute(select(TicketType.name, TicketType.quota)).all())
        told = list(provider_payments(session, event))
    assert orders == len({row["Order code"] for row in rows}) == 3_097
    totals: Counter[str] = Counter()
    for row in rows:
        if row["Invoice no."]:
            totals[row["Invoice no."]] += _cents(row["Price paid"])
    assert invoices == totals
    assert sold == quotas == Counter(row["Ticket"] for row in rows)

    refundable = {ref: paid - back for ref, (paid, back) in settled.items()
                  if ref[1] == "succeeded" and paid > back}  # fmt: skip
    assert len(told) == sum(kind != "pending" for _, kind in settled)
    planned = [each["amount"] - each["refunded"] for each in told if not each["disputed"]]
    assert sum(planned) == sum(refundable.values())
    assert sum(amount > 0 for amount in planned) == len(refundable)
    assert len({each["payment_intent"] for each in told}) == len(told)


def test_people_arrive_as_they_are_written(imported: Imported) -> None:
    rows, report = _rows(), imported.report
    with imported.database.tenant_session(imported.tenant.id, read_only=True) as session:
        people = session.scalars(select(Attendee).order_by(Attendee.id)).all()
    by_name = Counter((each.name, each.company or "", each.notes or "") for each in people)
    assert by_name == Counter((row["Attendee name"], row["Company"], row["Notes"]) for row in rows)
    for beginning, count in NOTES.items():
        assert sum((each.notes or "").startswith(beginning) for each in people) == count
    assert sum(len(each.notes or "") == 40_000 for each in people) == 2
    usable = [row["E-mail"].strip() for row in rows if " @ " not in row["E-mail"]]
    assert Counter(each.email for each in people if each.email) == Counter(filter(None, usable))
    assert sum(each.email is None for each in people) == report.warnings == 39
    assert sum(each.status == "checked_in" for each in people) == 135
    assert Counter(each.locale for each in people) == Counter(row["Language"] for row in rows)
    assert {issue.severity for issue in report.issues} == {"warning"}
    assert "did they mean 'edavies@mail.example.net'?" in str(report.issues[0])


def test_the_same_list_again_adds_nothing_and_says_so(imported: Imported) -> None:
    again = import_file(imported.database, imported.tenant.id, imported.event.id, DEMO_LIST)

    assert (again.added, again.already_there, again.refused, again.warnings) == (0, 5_000, 0, 0)
    assert again.is_repeat
    assert "5,000 of 5,000 attendees" in again.summary()
    assert "nothing was changed" in again.summary()
    with imported.database.tenant_session(imported.tenant.id) as session:
        assert session.scalar(select(func.count(Attendee.id))) == 5_000
        assert session.scalar(select(func.sum(TicketType.sold))) == 5_000
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [entry.after and entry.after["added"] for entry in entries] == [5_000, 0]


def test_another_event_may_not_have_the_same_orders(imported: Imported) -> None:
    second = make_event(imported.database, imported.tenant)

    report = import_file(imported.database, imported.tenant.id, second.id, DEMO_LIST)

    assert (report.added, report.refused) == (0, 5_000)
    assert f"is an order of the event '{imported.event.slug}'" in str(report.issues[0])


def test_another_tenant_may_have_the_same_orders(imported: Imported, tmp_path: Path) -> None:
    tenant = make_tenant(imported.database)
    event = make_event(imported.database, tenant)
    beginning = tmp_path / "beginning.csv"
    with beginning.open("w", encoding="utf-8", newline="") as file:
        rows = _rows()[:200]
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert import_file(imported.database, tenant.id, event.id, beginning).added == 200


def test_the_same_order_always_has_the_same_payment_at_the_provider(imported: Imported) -> None:
    with imported.database.tenant_session(imported.tenant.id) as session:
        refs = {
            each["metadata"]["order"]: each["payment_intent"]
            for each in provider_payments(session, imported.event)
        }
    assert refs["C2429940001"] == "pi_c45530345bab78d38c579818"
