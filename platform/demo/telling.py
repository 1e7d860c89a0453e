"""What the demo prints: a line while it goes on, and the table at the end."""

from __future__ import annotations

import sys
from typing import TextIO

from demo.office_verdict import OfficeVerdict
from demo.verdict import Verdict

WIDTH = 58


class Teller:
    """Writes to a terminal or a log; on a terminal the line of progress stays where it is."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        """Write to ``out``."""
        self.out = out
        self._shown = ""

    def say(self, words: str) -> None:
        """Print one line."""
        self._end_progress()
        print(words, file=self.out, flush=True)

    def progress(self, words: str) -> None:
        """Show how far it is; in a log only when the words have changed."""
        if words == self._shown:
            return
        self._shown = words
        if self.out.isatty():
            print(f"\r\033[K{words}", end="", file=self.out, flush=True)
        else:
            print(words, file=self.out, flush=True)

    def _end_progress(self) -> None:
        if self._shown and self.out.isatty():
            print(file=self.out)
        self._shown = ""


def table(verdict: Verdict, currency: str) -> str:
    """Return the table: what was expected, what the provider and the mail sink have."""
    rows = [
        ("Attendees in the list", f"{verdict.attendees:,}"),
        ("Workers killed with SIGKILL", f"{verdict.workers_killed:,}"),
        ("", ""),
        ("Refunds expected", f"{verdict.refunds_expected:,}"),
        ("Refunds made", f"{verdict.refunds_made:,}"),
        ("Refunds made twice", f"{verdict.refunds_made_twice:,}"),
        ("Refunds of a wrong amount", f"{verdict.refunds_of_wrong_amount:,}"),
        ("Refunds uncertain", f"{verdict.uncertain_refunds:,}"),
        (f"Amount expected ({currency})", _amount(verdict.amount_expected_minor)),
        (f"Amount refunded ({currency})", _amount(verdict.amount_refunded_minor)),
        *(
            (f"Attendees without a refund: {reason}", f"{number:,}")
            for reason, number in sorted(verdict.not_refunded.items())
        ),
        ("", ""),
        ("Mails expected", f"{verdict.mails_expected:,}"),
        ("Mails received", f"{verdict.mails_received:,}"),
        ("Mails received twice", f"{verdict.mails_received_twice:,}"),
        ("Mails uncertain (a worker died at the handing over)", f"{verdict.uncertain_mails:,}"),
        ("Attendees without a usable address", f"{verdict.without_address:,}"),
        ("", ""),
        ("Seconds from confirm to done", f"{verdict.seconds:,.1f}"),
    ]
    if verdict.processor_ms:
        total = sum(verdict.processor_ms.values())
        rows.append(
            ("Processor time for each attendee (ms), all but the simulators", f"{total:.2f}")
        )
        rows += [
            (f"  of it {program}", f"{figure:.2f}")
            for program, figure in sorted(verdict.processor_ms.items(), key=lambda each: -each[1])
            if figure >= LEAST_TOLD
        ]
    return _lines("Counted by the payment provider's ledger and by the mail server:", rows)


LEAST_TOLD = 0.01
"""Milliseconds of processor time for each attendee below which a program is not named."""


def office_table(office: OfficeVerdict) -> str:
    """Return the table of exports, the import and webhooks."""
    rows = [
        *((f"Attendees in the {kind} file", f"{n:,}") for kind, n in office.rows.items()),
        ("Pages of the pdf file", f"{office.pages_of_pdf:,}"),
        ("People imported from a second list", f"{office.imported:,}"),
        ("Rows of it left out, with reasons", f"{office.left_out:,}"),
        *((f"Webhooks '{kind}' taken", f"{n:,}") for kind, n in office.webhooks.items()),
        ("Webhooks refused by the partner and sent again", f"{office.webhooks_refused:,}"),
        ("Webhooks taken twice", f"{office.webhooks_repeated:,}"),
        ("Seconds from the first export to the last webhook", f"{office.seconds:,.1f}"),
    ]
    return _lines("\nCounted in the files and by the partner's server:", rows)


def result(verdict: Verdict) -> str:
    """Return the last line: whether everything is as it should be, and what is not."""
    good = "Everything is as it should be." if verdict.is_good else "NOT as it should be: "
    return "\n" + good + "; ".join(verdict.problems)


def _lines(head: str, rows: list[tuple[str, str]]) -> str:
    return "\n".join(
        [head, "", *(f"  {what:<{WIDTH}}{value:>14}" if what else "" for what, value in rows)]
    )


def _amount(minor: int) -> str:
    return f"{minor / 100:,.2f}"
