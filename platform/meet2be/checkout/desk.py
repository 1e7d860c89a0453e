"""The outside things that orders work with; made once a process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from meet2be.cancellations.context import Desk, Sessions
from meet2be.integrations.guarded_http import Answer
from meet2be.mailings.services import Sender
from meet2be.payments.provider import PaymentProvider
from onqueue.contracts import Clock

HOLD = timedelta(minutes=15)
"""How long the tickets of an order are kept for its buyer."""
MOST_TICKETS = 20
"""Tickets in one order."""


class Poster(Protocol):
    """Posts to addresses that other people chose."""

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send ``body``; raises ``HookCallFailed``."""
        ...


@dataclass(frozen=True, slots=True)
class CheckoutDesk:
    """Database, provider and clock (of the cancellations' desk), and what orders need beyond it.

    ``base_url`` is what links in mails begin with.
    """

    desk: Desk
    http: Poster
    base_url: str

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
