"""The outside things that orders work with; made once a process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from meet2be.cancellations.context import Desk, Sessions
from meet2be.checkout.tickets import TicketPrinter
from meet2be.integrations.guarded_http import Answer
from meet2be.mailings.services import Sender
from meet2be.payments.provider import PaymentProvider
from onqueue.contracts import Clock

HOLD = timedelta(minutes=15)
"""How long the tickets of an order are kept for its buyer."""
PAGE_HOLD = timedelta(minutes=35)
"""The same for who pays on the provider's own page, which is open for half an hour at least."""
PAGE_GRACE = timedelta(minutes=2)
"""So much longer than the provider's page is open: who pays in its last second has the tickets."""
PAGE_MARGIN = timedelta(minutes=3)
"""Between the order and its page: so late the page may be made and still be open long enough."""
LONGEST_HOLD = timedelta(hours=2)
"""Nobody keeps tickets for longer by trying to pay again and again."""
MOST_TICKETS = 20
"""Tickets in one order."""
MOST_OPEN_OF_ADDRESS = 5
"""Orders that hold tickets for one e-mail address at a time, in one organisation."""
MOST_OPEN_FROM = 15
"""The same for one connection's address, which a whole office may share."""


class Poster(Protocol):
    """Posts to addresses that other people chose."""

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send ``body``; raises ``HookCallFailed``."""
        ...


@dataclass(frozen=True, slots=True)
class CheckoutDesk:
    """Database, provider and clock (of the cancellations' desk), and what orders need beyond it.

    ``base_url`` is what links in mails begin with. Without a ``printer`` mails carry no tickets.
    """

    desk: Desk
    http: Poster
    base_url: str
    printer: TicketPrinter | None = None

    @property
    def db(self) -> Sessions:
        """Where sessions come from."""
        return self.desk.db

    @property
    def payments(self) -> PaymentProvider:
        """Who takes the money."""
        return self.desk.payments

    @property
    def clock(self) -> Clock:
        """The platform's clock."""
        return self.desk.clock

    @property
    def sender(self) -> Sender:
        """From whom mails come where the tenant has no sender of its own."""
        return self.desk.sender
