"""What an import does not take, and how it says so."""

import errno
import io
import os
import tracemalloc
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from sqlalchemy import func, select

from meet2be import facts
from meet2be.attendees.console import import_and_report
from meet2be.attendees.errors import (
    EventClosedError,
    ImportRefusedError,
    MissingColumnsError,
    NotAListError,
    UnreadableFileError,
)
from meet2be.attendees.models import Attendee
from meet2be.attendees.report import ImportReport
from meet2be.attendees.services import import_file
from meet2be.db import Database
from meet2be.events.errors import EventNotFoundError
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event, TicketType
from meet2be.orders.models import Order
from meet2be.payments.models import Payment
from meet2be.tenancy.services import TenantNotFoundError
from support.factories import make_event, make_tenant

HEADER = (
    "Order code,Attendee name,E-mail,Company,Ticket,Price paid,Currency,Invoice no.,"
    "Payment state,Refunded so far,Language,Registered at,Checked in,Notes"
)
COLUMNS = HEADER.split(",")
GOOD = {
    "Order code": "C1", "Attendee name": "Ada", "E-mail": "ada@example.org", "Company": "",
    "Ticket": "Regular", "Price paid": "399.00", "Currency": "EUR", "Invoice no.": "I-1",
    "Payment state": "paid", "Refunded so far": "0.00", "Language": "en-GB",
    "Registered at": "2026-03-01T10:00:00+01:00", "Checked in": "no", "Notes": "",
}  # fmt: skip


def row(**changes: str) -> str:
    """Return a good row with some cells changed; `Order_code` stands for 'Order code'."""
    cells = GOOD | {name.replace("_", " "): value for name, value in changes.items()}
    return ",".join('"' + cells[column].replace('"', '""') + '"' for column in COLUMNS)


class Importer:
    """A tenant's event to import into."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tenant = make_tenant(database)
        self.event = make_event(database, self.tenant)

    def rows(self, *rows: str) -> ImportReport:
        """Import rows under the usual header."""
        return self.bytes("\r\n".join([HEADER, *rows, ""]).encode())

    def bytes(self, data: bytes) -> ImportReport:
        """Import a file of these bytes."""
        return import_file(self.database, self.tenant.id, self.event.id, io.BytesIO(data))

    def count(self) -> int:
        """Return how many attendees there are."""
        with self.database.tenant_session(self.tenant.id) as session:
            return session.scalar(select(func.count(Attendee.id))) or 0


@pytest.fixture
def importer(sqlite_database: Database) -> Importer:
    """An event that is still empty."""
    return Importer(sqlite_database)


@pytest.mark.parametrize(
    ("changes", "column", "why"),
    [
        ({"Price_paid": "-5.00"}, "Price paid", "is negative"),
        ({"Price_paid": "NaN"}, "Price paid", "is no amount"),
        ({"Price_paid": ""}, "Price paid", "is empty"),
        ({"Price_paid": "1.234"}, "Price paid", "could be thousands or decimals"),
        ({"Payment_state": "partly refunded", "Refunded_so_far": "400.00"}, "Refunded so far",
         "is more than was paid (399.00)"),
        ({"Payment_state": "partly refunded"}, "Payment state", "some, but not all"),
        ({"Payment_state": "refunded", "Refunded_so_far": "1.00"}, "Payment state", "not all"),
        ({"Refunded_so_far": "10.00"}, "Payment state", "though something was refunded"),
        ({"Payment_state": "free"}, "Payment state", "though something was paid"),
        ({"Payment_state": "gratis"}, "Payment state", "Use one of: paid, partly refunded"),
        ({"Currency": "USD"}, "Currency", "must be in EUR"),
        ({"Currency": ""}, "Currency", "must be in EUR"),
        ({"Order_code": " "}, "Order code", "is empty"),
        ({"Order_code": "C" * 57}, "Order code", "longer than 56"),
        ({"Attendee_name": ""}, "Attendee name", "is empty"),
        ({"Attendee_name": "Ada\r\nBcc: eve@example.org"}, "Attendee name", "line break"),
        ({"Attendee_name": "A" * 201}, "Attendee name", "longer than 200"),
        ({"Ticket": ""}, "Ticket", "is empty"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_true_is_refused_with_its_cell(
    importer: Importer, changes: dict[str, str], column: str, why: str
) -> None:
    report = importer.rows(row(**changes), row(Order_code="C2", **{"Invoice no.": "I-2"}))

    assert (report.added, report.refused, importer.count()) == (1, 1, 1)
    [issue] = report.issues
    assert (issue.severity, issue.row, issue.column) == ("refused", 2, column)
    assert why in str(issue.message)


def test_all_reasons_against_a_row_are_told_at_once(importer: Importer) -> None:
    report = importer.rows(row(Price_paid="x", Ticket="", Payment_state="y"))
    assert {issue.column for issue in report.issues} == {"Price paid", "Ticket", "Payment state"}
    assert report.refused == 1


def test_one_bad_row_keeps_its_whole_order_out_and_no_other(importer: Importer) -> None:
    report = importer.rows(
        row(Attendee_name="A"),
        row(Attendee_name="B", Currency="USD"),
        row(Order_code="C2", **{"Invoice no.": "I-2"}),
    )
    assert (report.added, report.refused, report.orders) == (1, 2, 1)
    assert "row 3 of the same order was not taken" in str(report.issues[0])


def test_a_repeated_row_names_the_first(importer: Importer) -> None:
    report = importer.rows(row(), row(**{"E-mail": "ADA@example.org "}), row(Attendee_name="Bob"))
    assert (report.added, report.refused) == (2, 1)
    assert str(report.issues[0]).startswith("row 3: Attendee name 'Ada': repeats row 2")


def test_one_address_for_several_people_is_fine(importer: Importer) -> None:
    report = importer.rows(row(), row(Attendee_name="Bob"), row(Attendee_name="Cleo"))
    assert (report.added, report.refused, report.payments) == (3, 0, 1)


def test_rows_of_an_order_may_lie_far_apart(importer: Importer) -> None:
    others = [row(Order_code=f"D{n}", **{"Invoice no.": f"J-{n}"}) for n in range(700)]
    report = importer.rows(row(), *others, row(Attendee_name="Bob"))
    assert (report.added, report.orders, report.payments) == (702, 701, 701)
    with importer.database.tenant_session(importer.tenant.id) as session:
        order = session.scalars(select(Order).where(Order.code == "C1")).one()
        payment = session.scalars(select(Payment).where(Payment.order_id == order.id)).one()
    assert (order.total_minor, payment.amount_minor) == (79_800, 79_800)


def test_new_people_in_a_known_order_are_refused(importer: Importer) -> None:
    importer.rows(row())
    report = importer.rows(row(), row(Attendee_name="Bob"))
    assert (report.added, report.already_there, report.refused) == (0, 1, 1)
    assert "is here already, without this person" in str(report.issues[0])


def test_an_invoice_belongs_to_one_order(importer: Importer) -> None:
    report = importer.rows(row(), row(Order_code="C2"))
    assert (report.added, report.refused) == (1, 1)
    assert "row 3: Invoice no. 'I-1': is an invoice of the order 'C1'" in str(report.issues[0])
    again = importer.rows(row(Order_code="C3"))
    assert "is an invoice of the order 'C1'" in str(again.issues[0])


def test_states_of_one_order_become_payments_of_their_own(importer: Importer) -> None:
    report = importer.rows(
        row(Attendee_name="A"),
        row(Attendee_name="B", Payment_state="refunded", Refunded_so_far="399,00"),
        row(Attendee_name="C", Payment_state="partly refunded", Refunded_so_far="0,01"),
        row(Attendee_name="D", Payment_state="disputed"),
        row(Attendee_name="E", Payment_state="pending"),
        row(Attendee_name="F", Payment_state="free", Price_paid="0"),
    )
    assert (report.added, report.refused, report.payments) == (6, 0, 3)
    with importer.database.tenant_session(importer.tenant.id) as session:
        payments = session.scalars(select(Payment).order_by(Payment.status)).all()
        free = session.scalars(select(Attendee).where(Attendee.name == "F")).one()
        order = session.scalars(select(Order)).one()
    assert [(p.status, p.amount_minor, p.refunded_minor) for p in payments] == [
        ("disputed", 39_900, 0), ("pending", 39_900, 0), ("succeeded", 119_700, 39_901),
    ]  # fmt: skip
    assert (free.invoice_id, free.payment_id) == (None, None)
    assert (order.status, order.total_minor) == ("pending", 199_500)


@pytest.mark.parametrize(
    ("address", "kept", "warning"),
    [
        (" ada@example.org\u00a0", "ada@example.org", None),
        ("ADA@EXAMPLE.ORG", "ADA@EXAMPLE.ORG", None),
        ("info@bücher.example", "info@bücher.example", None),
        ("", None, "no address"),
        ("ada @ example.org", None, "did they mean 'ada@example.org'?"),
        ("ada example.org", None, "no usable address"),
        ("a@example.org, b@example.org", None, "no usable address"),
        ("Ada <ada@example.org>", None, "no usable address"),
    ],
)
def test_addresses_are_taken_as_they_are_or_not_at_all(
    importer: Importer, address: str, kept: str | None, warning: str | None
) -> None:
    report = importer.rows(row(**{"E-mail": address}))
    with importer.database.tenant_session(importer.tenant.id) as session:
        assert session.scalars(select(Attendee.email)).all() == [kept]
    assert report.added == 1
    assert [warning in str(issue.message) for issue in report.issues if warning] == [True] * bool(
        warning
    )


def test_what_only_looks_odd_is_taken_with_a_warning(importer: Importer) -> None:
    report = importer.rows(
        row(Language="xx-YY", Registered_at="yesterday", Checked_in="maybe", **{"Invoice no.": ""})
    )
    assert report.added == 1
    assert {issue.column for issue in report.issues} == {
        "Language", "Registered at", "Checked in", "Invoice no.",
    }  # fmt: skip


def test_a_quota_that_is_too_small_is_raised_and_named(importer: Importer) -> None:
    with importer.database.tenant_session(importer.tenant.id) as session:
        session.add(
            TicketType(event_id=importer.event.id, name="Regular", price_minor=39_900, quota=1)
        )
        session.commit()
    report = importer.rows(row(), row(Attendee_name="Bob"), row(Attendee_name="C", Ticket="VIP"))
    assert (report.quotas_raised, report.ticket_types_created) == (["Regular"], ["VIP"])


def test_row_numbers_are_those_of_a_spreadsheet(importer: Importer) -> None:
    report = importer.rows(row(Notes='two\nlines, "quoted"'), row(Order_code="C2", Ticket=""))
    assert report.issues[0].row == 3


def test_a_row_of_the_wrong_length_is_refused(importer: Importer) -> None:
    report = importer.rows(row() + ",surplus", "C2,Bob", row(Order_code="C3"))
    assert (report.added, report.refused) == (1, 2)
    assert "has 15 values where the first row names 14 columns" in str(report.issues[0])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_dialects_are_recognised(importer: Importer, delimiter: str, ending: str, bom: str) -> None:
    lines = [HEADER.replace(",", delimiter), row().replace('","', f'"{delimiter}"')]
    report = importer.bytes((bom + ending.join([*lines, "", ""])).encode())
    assert (report.added, report.refused) == (1, 0)


def test_columns_may_stand_in_any_order_and_others_are_passed_over(importer: Importer) -> None:
    names = [*reversed(COLUMNS), "Shoe size"]
    cells = [*(GOOD[name] for name in reversed(COLUMNS)), "42"]
    report = importer.bytes("\n".join([",".join(names), ",".join(cells)]).encode())
    assert report.added == 1


def _utf8(*lines: str) -> bytes:
    return "\n".join(lines).encode()


WRONG: dict[str, tuple[bytes, type[ImportRefusedError], str]] = {
    "empty": (b"", NotAListError, "it is empty"),
    "only a mark": (b"\xef\xbb\xbf", MissingColumnsError, "names nothing"),
    "prose": (b"Dear all,\nsee you soon.\n", MissingColumnsError, "lacks the columns 'Order code'"),
    "a column missing": (_utf8(HEADER.replace("Ticket", "Tick")), MissingColumnsError, "'Ticket'"),
    "a column twice": (_utf8(HEADER + ",Ticket"), NotAListError, "'Ticket' more than once"),
    "excel": (b"PK\x03\x04rest", NotAListError, "Save it as 'CSV UTF-8'"),
    "old excel": (b"\xd0\xcf\x11\xe0rest", NotAListError, "old Excel"),
    "pdf": (b"%PDF-1.7", NotAListError, "PDF"),
    "utf-16": (HEADER.encode("utf-16"), NotAListError, "UTF-16"),
    "windows-1252": (
        _utf8(HEADER, row()) + b"\nC1,\x1b[JJ\xfcrgen", NotAListError,
        "row 3: the byte 0xfc (after 'C1,·[JJ') is not UTF-8",
    ),
    "nul": (_utf8(HEADER, row(), row(Attendee_name="a\0b")), NotAListError, "NUL"),
    "nul in the header": (b"\0\0\0\0", NotAListError, "NUL"),
    "a quote left open": (_utf8(HEADER, row(), 'C2,"Bob'), NotAListError, "row 3: the quotes"),
    "a line without end": (
        _utf8(HEADER, row()) + b"\nC2," + b"x" * 1_200_000, NotAListError,
        "row 3: a line has more than 1,000,000 characters",
    ),
    "a header without end": (
        b"x" * 1_200_000, NotAListError, "row 1: a line has more than 1,000,000 characters",
    ),
    "a field without end": (
        _utf8(HEADER, row(), 'C2,"' + "x" * 200_000), NotAListError, "the quotes do not match",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "error", "why"), WRONG.values(), ids=WRONG.keys())
def test_a_file_that_is_no_list_changes_nothing(
    importer: Importer, data: bytes, error: type[ImportRefusedError], why: str
) -> None:
    with pytest.raises(error) as caught:
        importer.bytes(data)
    assert why in str(caught.value)
    assert importer.count() == 0


def test_a_mistake_on_the_last_line_of_a_long_list_changes_nothing(importer: Importer) -> None:
    lines = [row(Order_code=f"C{n}", **{"Invoice no.": f"I-{n}"}) for n in range(2_000)]
    with pytest.raises(NotAListError, match="row 2002"):
        importer.bytes(_utf8(HEADER, *lines, '"open'))
    assert importer.count() == 0


def test_what_cannot_be_opened_is_named(importer: Importer, tmp_path: Path) -> None:
    for source, why in (
        (tmp_path, "it is a folder"),
        (tmp_path / "missing.csv", "no such file"),
        (tmp_path / "loop", "symbolic links"),
    ):
        if source.name == "loop":
            source.symlink_to(source)
        with pytest.raises(UnreadableFileError, match=why):
            import_file(importer.database, importer.tenant.id, importer.event.id, source)


class Broken(io.RawIOBase):
    """A file on a disk that fails after so many bytes."""

    def __init__(self, good: bytes) -> None:
        super().__init__()
        self._good = good

    def read(self, size: int = -1) -> bytes:
        """Return the good bytes, then fail as a disk does."""
        if not self._good:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        data, self._good = self._good[:size], self._good[size:]
        return data


@pytest.mark.parametrize("good", [b"", _utf8(HEADER, *[row()] * 500)])
def test_a_disk_that_fails_is_named_and_nothing_is_changed(importer: Importer, good: bytes) -> None:
    source = cast("BinaryIO", Broken(good))
    with pytest.raises(UnreadableFileError, match="Input/output error"):
        import_file(importer.database, importer.tenant.id, importer.event.id, source)
    assert importer.count() == 0


def test_a_list_without_people_says_so(importer: Importer) -> None:
    report = importer.rows()
    assert (report.rows, report.added) == (0, 0)
    assert "holds no attendees" in report.summary()


@pytest.mark.parametrize("status", ["cancelling", "cancelled", "archived"])
def test_an_event_that_is_over_takes_nobody(sqlite_database: Database, status: str) -> None:
    tenant = make_tenant(sqlite_database)
    event = make_event(sqlite_database, tenant, status=status)
    with pytest.raises(EventClosedError, match=f"is '{status}' and takes no attendees"):
        import_file(sqlite_database, tenant.id, event.id, io.BytesIO(_utf8(HEADER, row())))


def test_another_tenants_event_is_not_found(importer: Importer) -> None:
    stranger = make_tenant(importer.database)
    with pytest.raises(EventNotFoundError):
        import_file(
            importer.database, stranger.id, importer.event.id, io.BytesIO(_utf8(HEADER, row()))
        )
    assert importer.count() == 0


def test_the_command_prints_what_was_not_taken(
    importer: Importer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(_utf8(HEADER, row(), *(row(Order_code=f"X{n}", Ticket="") for n in range(3))))
    refused = import_and_report(importer, path, importer.tenant.slug, importer.event.slug, shown=2)
    out = capsys.readouterr().out
    assert refused == 3
    assert "'list.csv': 1 attendees added in 1 orders, 3 rows not taken." in out
    assert "row 3: Ticket: is empty. Fill it in." in out
    assert "… and 1 more" in out
    assert "Prices 399.00 EUR, refunded so far 0.00." in out


def test_the_command_names_an_unknown_tenant_or_event(importer: Importer, tmp_path: Path) -> None:
    with pytest.raises(TenantNotFoundError, match="'nobody'"):
        import_and_report(importer, tmp_path, "nobody", importer.event.slug, shown=2)
    with pytest.raises(EventNotFoundError, match="'nothing'"):
        import_and_report(importer, tmp_path, importer.tenant.slug, "nothing", shown=2)


class LongList(io.RawIOBase):
    """A list of any length that is never held in memory."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self._lines = iter([HEADER])
        self._numbers = iter(range(rows))
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        while len(self._left) < size:
            line = next(self._lines, None)
            if line is None:
                number = next(self._numbers, None)
                if number is None:
                    break
                line = row(Order_code=f"C{number}", **{"Invoice no.": f"I-{number}"}, Ticket="")
            self._left += line.encode() + b"\n"
        data, self._left = self._left[:size], self._left[size:]
        return data


def _peak(importer: Importer, rows: int) -> int:
    """Return the most memory an import of so many bad rows took, in bytes."""
    tracemalloc.start()
    try:
        report = import_file(
            importer.database,
            importer.tenant.id,
            importer.event.id,
            cast("BinaryIO", LongList(rows)),
        )
        assert report.refused == rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_list(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meet2be.attendees.report.KEPT", 100)
    _peak(importer, 100)
    assert _peak(importer, 6_000) < _peak(importer, 2_000) * 1.2


def test_the_event_is_untouched_by_a_refused_file(importer: Importer) -> None:
    with pytest.raises(NotAListError):
        importer.bytes(b"")
    with importer.database.tenant_session(importer.tenant.id) as session:
        assert session.get_one(Event, importer.event.id).updated_at == importer.event.updated_at


def test_the_events_figures_are_made_anew_with_each_part_that_adds_somebody(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[object] = []
    monkeypatch.setattr(facts, "note", lambda _session, fact: noted.append(fact))
    importer.rows(row(), row(Order_code="C2"))
    assert noted == [EventDataStale(importer.event.uid)]
    importer.rows(row())
    assert len(noted) == 1, "nothing was added"
