"""How fast attendees become files, against the barest way to the same rows.

    python tests/bench/exports.py
    python tests/bench/exports.py --csv 1000000 --xlsx 1000000 --pdf 10000   # the whole of it

"Bare" for CSV is a cursor whose rows go straight into `csv.writer`; for workbooks openpyxl's
write-only mode given the same values; for PDF one call of WeasyPrint with the same pages in one.
Each of them runs in a process of its own, whose highest resident set is its memory; a PDF's
children count each by itself. On a machine that others use, too, the processor's seconds are the
figures to compare: those of a PDF are shared by two cores. ``--writers`` compares the libraries
that write workbooks.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from sqlalchemy import insert  # noqa: E402 -- after the path
from sqlalchemy.orm import Session  # noqa: E402

from meet2be.attendees.models import Attendee  # noqa: E402
from meet2be.db import Database, snapshot, upgrade  # noqa: E402
from meet2be.db.columns import new_uid  # noqa: E402
from meet2be.events.models import Event, TicketType  # noqa: E402
from meet2be.exports.exporters import exporters  # noqa: E402
from meet2be.exports.reading import Chunk, count_rows, read_chunks  # noqa: E402
from meet2be.exports.running import table_of  # noqa: E402
from meet2be.exports.spec import ExportSpec  # noqa: E402
from meet2be.orders.models import Order  # noqa: E402
from onqueue.clock import SystemClock  # noqa: E402
from support.factories import make_event, make_tenant  # noqa: E402

COLUMNS = (
    "name", "email", "company", "ticket", "ticket_code", "status", "order", "language", "price",
    "refunded", "currency", "registered",
)  # fmt: skip
ON_PAPER = ("name", "email", "company", "ticket", "status", "price", "registered")
BARE = """
SELECT a.name, a.email, a.company, t.name, a.ticket_code, a.status, o.code, a.locale, a.price_minor,
       a.refunded_minor, a.currency, a.registered_at
FROM attendees a
LEFT JOIN ticket_types t ON t.tenant_id = a.tenant_id AND t.id = a.ticket_type_id
LEFT JOIN orders o ON o.tenant_id = a.tenant_id AND o.id = a.order_id
WHERE a.tenant_id = 1 AND a.event_id = 1 AND a.anonymised_at IS NULL ORDER BY a.name, a.id
"""
GOALS = {"csv": 0.4, "xlsx": 3.0, "pdf": 1.5}
MOST_MEGABYTES = {"csv": 200, "xlsx": 200, "pdf": 300}
BATCH = 6000
OURS = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
USUAL = {"csv": 50_000, "xlsx": 20_000, "pdf": 2_000}


def main() -> None:
    """Measure what is asked for and print it; the exit code says whether the goals were met."""
    parser = argparse.ArgumentParser(description=__doc__)
    for kind, rows in USUAL.items():
        parser.add_argument(f"--{kind}", type=int, default=rows, help="rows; 0 leaves it out")
    parser.add_argument("--writers", type=int, default=0, help="compare the writers of workbooks")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one[0], Path(given.one[1]), int(given.one[2]))
        return
    with tempfile.TemporaryDirectory(prefix="m2b-bench-") as folder:
        place = Path(folder)
        fill(place, max(given.csv, given.xlsx, given.pdf))
        results = []
        for kind in GOALS:
            if rows := getattr(given, kind):
                results.append(measured(kind, place, rows))
                print(json.dumps(results[-1]) if given.json else sentence(results[-1]), flush=True)
        if given.writers:
            for writer in ("openpyxl", "xlsxwriter", "rustpy"):
                print(writer, json.dumps(apart(f"writer-{writer}", place, given.writers)))
    sys.exit(0 if all(result["met"] for result in results) else 1)


def measured(kind: str, place: Path, rows: int) -> dict[str, Any]:
    """Return the figures of one format beside the bare way."""
    say(f"{kind}: {rows:,} rows the bare way")
    bare = apart(f"bare-{kind}", place, rows)
    say(f"{kind}: took {bare['seconds']:.1f} s; now as an export")
    ours = apart(kind, place, rows)
    times = bare["seconds"] / ours["seconds"]
    megabytes = max(ours["megabytes"], ours["children"])
    return {
        "format": kind,
        "rows": rows,
        "rows_a_second": round(rows / ours["seconds"]),
        "bare_rows_a_second": round(rows / bare["seconds"]),
        "times_bare": round(times, 2),
        "cpu_seconds": round(ours["cpu"], 2),
        "bare_cpu_seconds": round(bare["cpu"], 2),
        "megabytes": megabytes,
        "met": times >= GOALS[kind] and megabytes < MOST_MEGABYTES[kind],
    }


def sentence(result: dict[str, Any]) -> str:
    """Return the figures for a person."""
    kind = result["format"]
    return (
        f"{kind}: {result['rows']:,} rows, {result['rows_a_second']:,} a second,"
        f" {result['times_bare']} x bare (goal {GOALS[kind]}), {result['megabytes']} MB"
        f" (below {MOST_MEGABYTES[kind]}): {'met' if result['met'] else 'NOT MET'};"
        f" processor {result['cpu_seconds']} s, bare {result['bare_cpu_seconds']} s"
    )


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def apart(what: str, place: Path, rows: int) -> dict[str, Any]:
    """Do one of the ways in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", what, str(place), str(rows)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one(what: str, place: Path, rows: int) -> None:
    """Do it here, and print how long it took and how large the processes became."""
    ways = {
        "bare-csv": bare_csv, "bare-xlsx": bare_xlsx, "bare-pdf": bare_pdf,
        "csv": ours, "xlsx": ours, "pdf": ours,
    }  # fmt: skip
    if what.startswith("writer-"):
        seconds = writer(what.removeprefix("writer-"), place, rows)
    else:
        seconds = ways[what](what, place, rows)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": sum(sum(resource.getrusage(whose)[:2]) for whose in OURS),
                "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "children": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
            }
        )
    )


def ours(kind: str, place: Path, rows: int) -> float:
    """Make the file as a worker does: snapshot, pages of rows, exporter."""
    exporter, database = exporters()[kind], opened(place)
    begun = perf_counter()
    with snapshot(database, 1) as session:
        event, spec = event_of(session), wish(kind)
        total = count_rows(session, event.id, spec)
        table = table_of(spec, event, min(total, rows), SystemClock().now())
        chunks = limited(read_chunks(session, event.id, spec, exporter.chunk_rows), rows)
        exporter.write(table, chunks, place)
    return perf_counter() - begun


def bare_csv(_what: str, place: Path, rows: int) -> float:
    begun = perf_counter()
    found = sqlite3.connect(place / "rows.sqlite").execute(f"{BARE} LIMIT {rows}")
    with (place / "bare.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(found)
    return perf_counter() - begun


def bare_xlsx(_what: str, place: Path, rows: int) -> float:
    from openpyxl import Workbook

    begun = perf_counter()
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in values(place, rows):
        sheet.append(row)
    book.save(place / "bare.xlsx")
    return perf_counter() - begun


def bare_pdf(_what: str, place: Path, rows: int) -> float:
    """Lay out the same table in one call, as one page of HTML."""
    from weasyprint import HTML

    from meet2be.exports.pdf_html import page_of

    begun = perf_counter()
    with snapshot(opened(place), 1) as session:
        event, spec = event_of(session), wish("pdf")
        table = table_of(spec, event, rows, SystemClock().now())
        chunk = next(limited(read_chunks(session, event.id, spec, rows), rows))
        HTML(string=page_of(table, chunk)).write_pdf(place / "bare.pdf")
    return perf_counter() - begun


def writer(name: str, place: Path, rows: int) -> float:
    """Write the same rows of 12 columns with one of the libraries."""
    if name == "openpyxl":
        return bare_xlsx("", place, rows)
    begun = perf_counter()
    if name == "rustpy":
        import rustpy_xlsxwriter

        records = (dict(zip(COLUMNS, row, strict=True)) for row in values(place, rows))
        rustpy_xlsxwriter.write_worksheet(records, str(place / "w.xlsx"), sheet_name="A")
        return perf_counter() - begun
    import xlsxwriter

    book = xlsxwriter.Workbook(place / "w.xlsx", {"constant_memory": True})
    sheet, moment = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    for place_of, row in enumerate(values(place, rows)):
        for column, value in enumerate(row):
            if isinstance(value, datetime):
                sheet.write_datetime(place_of, column, value, moment)
            elif isinstance(value, str):
                sheet.write_string(place_of, column, value)
            else:
                sheet.write_number(place_of, column, value)
    book.close()
    return perf_counter() - begun


def values(place: Path, rows: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as a workbook wants them."""
    for row in sqlite3.connect(place / "rows.sqlite").execute(f"{BARE} LIMIT {rows}"):
        yield (*row[:-1], datetime.fromisoformat(row[-1]))


def limited(chunks: Iterator[Chunk], rows: int) -> Iterator[Chunk]:
    """Yield the first rows only."""
    left = rows
    for chunk in chunks:
        yield [column[:left] for column in chunk]
        left -= len(chunk[0])
        if left <= 0:
            return


def wish(kind: str) -> ExportSpec:
    columns = ON_PAPER if kind == "pdf" else COLUMNS
    return ExportSpec(format=kind, columns=columns, timezone="Europe/Berlin")


def event_of(session: Session) -> Event:
    return session.get_one(Event, 1)


def opened(place: Path) -> Database:
    return Database(f"sqlite:///{place / 'rows.sqlite'}", SystemClock())


def fill(place: Path, rows: int) -> None:
    """Sell as many tickets, three to an order."""
    upgrade(f"sqlite:///{place / 'rows.sqlite'}")
    database = opened(place)
    event = make_event(database, make_tenant(database), title="Aurora Summit")
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    with database.tenant_session(1) as session:
        session.add(TicketType(event_id=event.id, name="Early bird", price_minor=12_900, quota=1))
        session.commit()
    for start in range(0, rows, BATCH):
        if start % (BATCH * 25) == 0:
            say(f"{start:,} of {rows:,} tickets are sold")
        numbers = range(start, min(start + BATCH, rows))
        with database.tenant_session(1) as session:
            orders = [_order(number // 3) for number in numbers if number % 3 == 0]
            session.execute(insert(Order), orders)
            session.execute(insert(Attendee), [_attendee(number, begins) for number in numbers])
            session.commit()
    database.close()


def _order(number: int) -> dict[str, Any]:
    return {
        "id": number + 1, "uid": new_uid(), "tenant_id": 1, "event_id": 1,
        "code": f"ORD-{number:07}", "buyer_name": "Ada", "locale": "de-DE", "status": "paid",
        "total_minor": 38_700, "currency": "EUR",
    }  # fmt: skip


def _attendee(number: int, begins: datetime) -> dict[str, Any]:
    scattered = number * 7919 % 1_000_003
    return {
        "uid": new_uid(), "tenant_id": 1, "event_id": 1, "order_id": number // 3 + 1,
        "ticket_type_id": 1, "ticket_code": f"T-{number:08}",
        "name": f"Person {scattered:07} Müller",
        "email": f"person{number}@example.org", "email_norm": f"person{number}@example.org",
        "company": "Company & Sons", "locale": "de-DE", "status": "active", "price_minor": 12_900,
        "refunded_minor": 0, "currency": "EUR",
        "registered_at": begins + timedelta(minutes=number % 500_000),
    }  # fmt: skip


if __name__ == "__main__":
    main()
