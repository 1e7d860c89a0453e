"""The report of a run as CSV: a row an attendee, streamed, harmless in a spreadsheet.

Its headings are in the reader's language; states and codes are the same in all of them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from meet2be import money
from meet2be.attendees.models import Attendee
from meet2be.cancellations.models import CancelItem, CancelRun
from meet2be.cancellations.planning import PlannedItem
from meet2be.language import N_, _
from meet2be.orders.models import Order
from meet2be.payments.models import Refund

BATCH = 500
MOST_AMOUNTS = 4_096
BOM = "\ufeff"
# A spreadsheet takes a cell that begins so for a formula; full-width forms are folded to them.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

COLUMNS = (
    N_("Order"), N_("Ticket"), N_("Name"), N_("E-mail"), N_("Currency"), N_("Planned"), N_("Kept"),
    N_("Refund"), N_("Cancelled"), N_("Mail"), N_("Why not"), N_("Error code"), N_("Error"),
    N_("Refund id"), N_("Refund at provider"), N_("Settled at (UTC)"),
)  # fmt: skip


def report_rows(session: Session, run: CancelRun, refund_state: str = "") -> Iterator[str]:
    """Yield the report's lines, the first one the header; memory does not grow with the run.

    With `refund_state` only of those whose refund stands so.
    """
    wanted = [CancelItem.run_id == run.id]
    if refund_state:
        wanted.append(CancelItem.refund_state == refund_state)
    yield BOM + _line([_(words) for words in COLUMNS])
    statement = (
        select(
            Order.code, Attendee.ticket_code, CancelItem.name_snapshot, CancelItem.email_snapshot,
            CancelItem.currency, CancelItem.planned_minor, CancelItem.kept_minor,
            CancelItem.refund_state, CancelItem.cancel_state, CancelItem.mail_state,
            CancelItem.skip_reason, CancelItem.error_code, CancelItem.error_text, Refund.uid,
            Refund.provider_refund_id, Refund.settled_at,
        )
        .join(Order, and_(Order.tenant_id == CancelItem.tenant_id, Order.id == CancelItem.order_id))
        .join(
            Attendee,
            and_(
                Attendee.tenant_id == CancelItem.tenant_id, Attendee.id == CancelItem.attendee_id
            ),
        )
        .outerjoin(
            Refund,
            and_(Refund.tenant_id == CancelItem.tenant_id, Refund.id == CancelItem.refund_id),
        )
        .where(*wanted)
        .order_by(CancelItem.id)
    )  # fmt: skip
    for row in session.execute(statement, execution_options={"yield_per": BATCH}):
        yield _line(_cells(row))


def _cells(row: Any) -> list[Any]:
    (order, ticket, name, email, currency, planned, kept, *states, settled_at) = row
    moment = settled_at.strftime("%Y-%m-%d %H:%M:%S") if settled_at else ""
    return [
        order, ticket, name, email, currency, money.to_decimal(planned, currency),
        money.to_decimal(kept, currency), *states, moment,
    ]  # fmt: skip


PREVIEW_COLUMNS = (
    N_("Name"), N_("E-mail"), N_("Currency"), N_("Price"), N_("Refunded before"), N_("Refund"),
    N_("Kept"), N_("Outcome"), N_("Checked in"),
)  # fmt: skip


def preview_rows(items: Iterable[PlannedItem]) -> Iterator[str]:
    """Yield the lines of a preview's list, the first one the header.

    Made for half a million attendees while they download: only what people have typed is looked
    through for formulas, and an amount that many have is written once.
    """
    yield BOM + _line([_(words) for words in PREVIEW_COLUMNS])
    to_row, yes, no = _row_writer(), _("yes"), _("no")
    amount = lru_cache(maxsize=MOST_AMOUNTS)(money.to_decimal)
    for line, _unit, planned, kept, outcome in items:
        currency = line.payment.currency if line.payment else line.currency
        yield to_row(
            (harmless(line.name), harmless(line.email), currency,
             amount(line.price_minor, currency), amount(line.refunded_minor, currency),
             amount(planned, currency), amount(kept, currency), outcome,
             yes if line.checked_in else no)
        )  # fmt: skip


class _Handed:
    """A file for `csv.writer` that hands back what is written: so does `writerow` then."""

    def write(self, text: str) -> str:
        """Return the text."""
        return text


def _row_writer() -> Callable[[Iterable[Any]], str]:
    """Return what makes a line of cells."""
    return cast(
        "Callable[[Iterable[Any]], str]", csv.writer(_Handed(), lineterminator="\r\n").writerow
    )


def _line(cells: Iterable[Any]) -> str:
    return _row_writer()([harmless(cell) for cell in cells])


def harmless(cell: object) -> str:
    """Return a cell's text that no spreadsheet runs as a formula; numbers stay as they are."""
    if cell is None:
        return ""
    text = str(cell)
    if isinstance(cell, str) and text.lstrip(" \u00a0").startswith(_FORMULA_STARTS):
        return f"'{text}"
    return text
