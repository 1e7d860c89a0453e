"""The office in the demo: exports, an import, and a partner who is told by webhook."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

from openpyxl import load_workbook
from pypdf import PdfReader

from demo.office_verdict import OfficeVerdict
from demo.receiver import Receiver
from demo.second_list import BROKEN, GOOD, REPEATED, second_list
from demo.telling import Teller
from demo.visitor import Visitor

FORMATS = ("csv", "xlsx", "pdf")
TOLD = ("event.cancelling", "event.cancelled", "export.ready", "import.done")
FAILURES = 2
"""How often the partner's server is out of order; the second retry comes 90 seconds after."""
HEADING_ROWS = 1
ENDED = 286
"""What the moving part of a page answers with when nothing moves any more (htmx)."""

Wait = Callable[[Callable[[], bool], float, str], None]


class Office:
    """An administrator at the pages, and a partner's server that is out of order at first."""

    def __init__(self, visitor: Visitor, teller: Teller, wait: Wait, port: int) -> None:
        """Work through ``visitor``'s browser; the partner listens on ``port``."""
        self._visitor, self._teller, self._wait, self._port = visitor, teller, wait, port
        self.verdict = OfficeVerdict()
        self._partner = Receiver(port, FAILURES)

    def close(self) -> None:
        """Send the partner home."""
        self._partner.close()

    def add_partner(self) -> None:
        """Let the partner be told of cancellations, exports and imports."""
        self._teller.say(f"Adding a partner's webhook, whose server refuses {FAILURES} calls")
        self._visitor.get("/webhooks/new")
        page = self._visitor.submit(
            "",
            ticked={"types": TOLD, "all_types": ()},
            url=f"http://127.0.0.1:{self._port}/hooks",
            description="A partner",
        )
        found = re.search(r"whsec_[A-Za-z0-9+/=]+", page)
        if found is None:
            message = "the page of the new endpoint shows no secret"
            raise RuntimeError(message)
        self._partner.secret = found.group()

    def work(self, event_uid: str, attendees: int, other_event_uid: str) -> None:
        """Export the cancelled event, import people into another one, wait for the partner."""
        for kind in FORMATS:
            self._judge_rows(kind, self._export(event_uid, kind), attendees)
        self._import(other_event_uid)
        content = self._export(other_event_uid, "csv")
        self.verdict.imported = _rows_of_csv(content)
        if self.verdict.imported != GOOD:
            self._complain(f"{self.verdict.imported:,} people were imported instead of {GOOD:,}")
        self._judge_partner()

    def _export(self, event_uid: str, kind: str) -> bytes:
        self._teller.say(f"Exporting attendees as {kind}")
        visitor = self._visitor
        visitor.get(f"/events/{event_uid}/export")
        visitor.submit(f"/events/{event_uid}/export", format=kind, do="start")
        page = visitor.url
        self._wait(lambda: visitor.status(f"{page}/progress") == ENDED, 180, f"{kind} is ready")
        visitor.get(page)
        return visitor.fetch(visitor.link_with("/download/"))

    def _judge_rows(self, kind: str, content: bytes, attendees: int) -> None:
        if kind == "pdf":
            self.verdict.pages_of_pdf = _pages_of_pdf(content)
            rows = attendees if self.verdict.pages_of_pdf else 0
        else:
            rows = _rows_of_csv(content) if kind == "csv" else _rows_of_workbook(content)
            self.verdict.rows[kind] = rows
        if rows != attendees:
            self._complain(f"the {kind} has {rows:,} rows instead of {attendees:,}")

    def _import(self, event_uid: str) -> None:
        total = GOOD + REPEATED + BROKEN
        self._teller.say(f"Importing a list of {total:,} rows from another program")
        visitor = self._visitor
        visitor.get("/imports/new")
        file = {"file": ("Anmeldungen.csv", second_list())}
        visitor.submit("/imports/new", files=file, kind="attendees", event=event_uid)
        visitor.submit("/layout")
        visitor.submit("/mapping")
        page = visitor.url
        self._wait(lambda: visitor.status(f"{page}/progress") == ENDED, 120, "the list is checked")
        visitor.get(page)
        visitor.submit("/start")
        self._wait(lambda: visitor.status(f"{page}/progress") == ENDED, 120, "the list is imported")
        visitor.get(page)
        rejected = visitor.fetch(visitor.link_with("/rejected.csv"))
        self.verdict.left_out = _rows_of_csv(rejected)
        if self.verdict.left_out != REPEATED + BROKEN:
            self._complain(
                f"{self.verdict.left_out:,} rows were left out instead of {REPEATED + BROKEN:,}"
            )

    def _judge_partner(self) -> None:
        """Wait for the last messages: those refused at first come again 30 and 60 seconds on."""
        self._teller.say("Waiting for the partner to be told of everything")
        got, wanted = self._partner.received, {"export.ready": 4, "import.done": 1}
        wanted |= {"event.cancelling": 1, "event.cancelled": 1}
        self._wait(
            lambda: all(got.taken(kind) >= number for kind, number in wanted.items()),
            180,
            "the partner was told of everything",
        )
        self.verdict.webhooks = {kind: got.taken(kind) for kind in sorted(got.ids)}
        self.verdict.webhooks_refused = got.refused
        self.verdict.webhooks_repeated = got.repeats
        if self.verdict.webhooks != wanted:
            self._complain(f"the partner was told {self.verdict.webhooks}, not {wanted}")
        if got.unsigned:
            self._complain(f"{got.unsigned:,} calls to the partner were not signed as they should")
        if got.refused != FAILURES:
            self._complain(f"the partner refused {got.refused:,} calls instead of {FAILURES}")

    def _complain(self, problem: str) -> None:
        self.verdict.problems.append(problem)


def _rows_of_csv(content: bytes) -> int:
    text = content.decode("utf-8-sig")
    dialect = csv.Sniffer().sniff(text.splitlines()[0], ";,\t|")
    return sum(1 for row in csv.reader(io.StringIO(text), dialect) if row) - HEADING_ROWS


def _rows_of_workbook(content: bytes) -> int:
    book = load_workbook(io.BytesIO(content), read_only=True)
    rows = sum(1 for row in book.worksheets[0].iter_rows(values_only=True) if any(row))
    return rows - HEADING_ROWS


def _pages_of_pdf(content: bytes) -> int:
    return len(PdfReader(io.BytesIO(content)).pages)
