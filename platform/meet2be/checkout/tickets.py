"""Tickets on paper: a page each with a code that a door scans, in one file for an order.

The file's key is made of all that stands on it. So it is made once, a repeated step finds it, and
nobody is mailed one that says something else than what is true by then.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.events.models import Event, TicketType
from meet2be.exports.pdf_children import Children
from meet2be.exports.pdf_fonts import why_not
from meet2be.integrations.storage import Store, tenant_key
from meet2be.language import N_, Message
from meet2be.orders.models import Order
from meet2be.tenancy.models import Tenant

CONTENT_TYPE: Final = "application/pdf"
FOLDER: Final = "tickets"
QUIET: Final = 4
"""Modules that stay white around a code, as readers need them (ISO/IEC 18004)."""
FILES_A_CHILD: Final = 50
"""Files that one child lays out: to start it takes as long as ten of them."""
MOST_SECONDS: Final = 20.0
"""For one file, beginning with a child that is only starting; a step has 120 with all it does."""
_PLACE_IN_ORDER: Final = N_("Order %(code)s, ticket %(number)s of %(all)s")
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_STYLE: Final = """
@page { size: A5; margin: 14mm; }
html { font: 11pt/1.4 "DejaVu Sans"; color: #111; }
section { display: block; break-after: page; }
section:last-child { break-after: auto; }
h1 { display: block; font-size: 17pt; line-height: 1.25; margin: 0 0 4mm; }
div { display: block; text-align: center; margin: 6mm 0 1mm; }
svg { width: 62mm; height: 62mm; }
p { margin: 1mm 0; overflow-wrap: anywhere; }
p.test { font-weight: bold; border: 1.5pt solid #111; padding: 2mm; text-align: center;
  margin-bottom: 4mm; }
p.who { font-size: 14pt; font-weight: bold; margin-top: 5mm; }
p.code { font-size: 13pt; text-align: center; }
p.small { font-size: 9pt; color: #444; text-align: center; }
"""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket: who comes with it, of which kind, and the code that is scanned."""

    holder: str
    kind: str
    code: str


@dataclass(frozen=True, slots=True)
class Sheets:
    """All that stands on the tickets of an order; ``when`` is in words."""

    locale: str
    organisation: str
    title: str
    when: str
    place: str
    order: str
    is_test: bool
    tickets: tuple[Ticket, ...]

    def key(self, tenant_uid: str, order_uid: str, turn: int = 0) -> str:
        """Return where the file of these tickets lies; another place each turn."""
        digest = blake2b(json.dumps(asdict(self)).encode(), digest_size=12).hexdigest()
        name = f"{digest}-{turn}.pdf" if turn else f"{digest}.pdf"
        return tenant_key(tenant_uid, FOLDER, order_uid, name)

    def lie_at(self, key: str, tenant_uid: str, order_uid: str) -> bool:
        """Tell whether a key is one of these tickets, whichever turn's."""
        first = self.key(tenant_uid, order_uid).removesuffix(".pdf")
        return re.fullmatch(rf"{re.escape(first)}(-\d+)?\.pdf", key) is not None


def tickets_of(session: Session, order: Order) -> list[Ticket]:
    """Return an order's tickets, but for the cancelled ones."""
    rows = session.execute(
        select(Attendee.name, TicketType.name, Attendee.ticket_code)
        .join(TicketType, TicketType.id == Attendee.ticket_type_id)
        .where(Attendee.order_id == order.id, Attendee.status != "cancelled")
        .order_by(Attendee.id)
    )
    return [Ticket(*row) for row in rows]


def sheets_of(tenant: Tenant, event: Event, order: Order, tickets: Sequence[Ticket]) -> Sheets:
    """Return what stands on the tickets, in the buyer's language and the event's time zone."""
    locale = order.locale.replace("-", "_")
    begins = event.starts_at.astimezone(ZoneInfo(event.timezone))
    day, time = format_date(begins, "full", locale), format_time(begins, "short", locale=locale)
    return Sheets(
        order.locale,
        tenant.name,
        event.title,
        f"{day}, {time}",
        event.place or "",
        order.code,
        order.test_mode,
        tuple(tickets),
    )


class TicketPrinter:
    """Makes the files of tickets and keeps them in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # By process: a fork can neither ask its parent's child nor wait for its end.
        self._children: dict[int, Children] = {}

    @property
    def is_able(self) -> bool:
        """Whether this machine can lay out pages at all."""
        return why_not() is None

    def has(self, key: str) -> bool:
        """Tell whether the file was made."""
        return self._store.size(key) is not None

    def make(self, key: str, sheets: Sheets) -> None:
        """Make the file, once; raises ``LayOutFailed`` and ``StoreFailed``.

        It is laid out in a child of its own limits, with nothing fetched from anywhere. The child
        stays for the next file.
        """
        if self.has(key):
            return
        with tempfile.TemporaryDirectory(prefix="m2b-tickets-") as folder:
            source = Path(folder) / "tickets.html"
            source.write_text(page_of(sheets), encoding="utf-8")
            made = self._child().lay_out(source)
            name = f"{sheets.order}.pdf"
            with (
                made.open("rb") as file,
                self._store.write(key, content_type=CONTENT_TYPE, filename=name) as target,
            ):
                shutil.copyfileobj(file, target)

    def delete(self, key: str) -> None:
        """Delete a file, if it is there; raises ``StoreFailed``."""
        self._store.delete(key)

    def close(self) -> None:
        """End the child that this process has, if any; the next file would have another."""
        children = self._children.get(os.getpid())
        if children is not None:
            children.close()

    def _child(self) -> Children:
        one = Children(1, FILES_A_CHILD, MOST_SECONDS)  # which starts nothing yet
        return self._children.setdefault(os.getpid(), one)


def page_of(sheets: Sheets) -> str:
    """Return the HTML of all tickets, which is well-formed XML, too."""
    parts = "".join(_ticket(sheets, number, each) for number, each in enumerate(sheets.tickets, 1))
    return (
        f'<!DOCTYPE html><html lang="{_text(sheets.locale)}"><head><meta charset="utf-8"/>'
        f"<title>{_text(sheets.title)} – {_text(sheets.order)}</title>"
        f"<style>{_STYLE}</style></head><body>{parts}</body></html>"
    )


def _ticket(sheets: Sheets, number: int, ticket: Ticket) -> str:
    def said(sentence: Message) -> str:
        return _text(sentence.in_language(sheets.locale))

    values = {"number": number, "all": len(sheets.tickets), "code": sheets.order}
    test = said(Message("Test: this ticket is not good."))
    mark = f'<p class="test">{test}</p>' if sheets.is_test else ""
    place = f"<p>{_text(sheets.place)}</p>" if sheets.place else ""
    return (
        f"<section>{mark}<h1>{_text(sheets.title)}</h1><p>{_text(sheets.when)}</p>{place}"
        f'<p class="who">{_text(ticket.holder)}</p><p>{_text(ticket.kind)}</p>'
        f'<div>{code_of(ticket.code)}</div><p class="code">{_text(ticket.code)}</p>'
        f'<p class="small">{said(Message("Show this code at the door."))}</p>'
        f'<p class="small">{said(Message(_PLACE_IN_ORDER, values))} · '
        f"{_text(sheets.organisation)}</p></section>"
    )


def code_of(text: str) -> str:
    """Return a QR code as a drawing; a seventh of it may be dirty or worn off."""
    import segno  # by those alone who print

    matrix = segno.make_qr(text, error="m").matrix
    size = len(matrix) + 2 * QUIET
    path = "".join(_runs(matrix))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}">'
        f'<path fill="#000" d="{path}"/></svg>'
    )


def _runs(matrix: Sequence[Sequence[int]]) -> Iterator[str]:
    """Yield the dark modules, those beside each other in one stroke."""
    for y, row in enumerate(matrix, QUIET):
        x = QUIET
        for is_dark, run in groupby(row, bool):
            length = len(list(run))
            if is_dark:
                yield f"M{x} {y}h{length}v1h-{length}z"
            x += length


def _text(text: str) -> str:
    return escape(_NOT_IN_XML.sub(" ", text))
