"""A process that runs an order's steps in children and has them killed at a given point.

Reads one JSON command a line: whose order, which point, the time it is. A fork of a process that
has imported everything costs milliseconds, and one process serves all tests.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import event

from meet2be.cancellations.context import Desk
from meet2be.checkout import completing
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.paying import process_payment
from meet2be.checkout.steps import Outcome, Wait
from meet2be.checkout.warehouse import notify_warehouse
from meet2be.db import Database
from meet2be.db.tables import load_models
from meet2be.integrations.guarded_http import Answer
from meet2be.integrations.payments_stripe import StripeProvider
from meet2be.mailings.services import Sender
from meet2be.payments.provider import (
    ChargeAnswer,
    ChargeOrder,
    PageAnswer,
    PageOrder,
    PaymentPage,
)
from onqueue.testing.clock import FakeClock

# Killed as soon as such a statement has been sent: its transaction is never committed.
STATEMENTS = {
    "in_inventory": "INSERT INTO attendees",
    "in_confirmation": "INSERT INTO mails",
    "in_booking": "UPDATE payments SET",
}


class Doom:
    """Ends the process, as a power cut would, when its point is passed."""

    def __init__(self, point: str) -> None:
        self.point = point

    def at(self, point: str) -> None:
        if point == self.point:
            os.kill(os.getpid(), signal.SIGKILL)


class DoomedProvider(StripeProvider):
    """Stripe, with points before and after a charge, and around a page to pay on."""

    doom: Doom

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        self.doom.at("before_charge")
        answer = super().charge(order)
        self.doom.at("after_charge")
        return answer

    def open_page(self, order: PageOrder) -> PageAnswer:
        self.doom.at("before_page")
        answer = super().open_page(order)
        self.doom.at("after_page")
        return answer

    def page_of(self, ref: str, account: str | None, *, test_mode: bool) -> PaymentPage:
        page = super().page_of(ref, account, test_mode=test_mode)
        self.doom.at("after_look")
        return page


class DoomedWarehouse:
    """A warehouse that takes everything; each call is a line in a file."""

    def __init__(self, doom: Doom, path: str) -> None:
        self._doom, self._path = doom, path

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        with open(self._path, "a", encoding="ascii") as file:  # noqa: PTH123 - a fork's own file
            file.write(headers["Idempotency-Key"] + "\n")
        self._doom.at("after_warehouse")
        return Answer(200, {}, b"", False, "192.0.2.1")


def trusted() -> None:
    """Be a worker that holds its lease."""


def child(command: dict[str, Any]) -> int:
    """Run the steps in their turn; 3 when one of them waits."""
    doom = Doom(command["point"])
    clock = FakeClock(datetime.fromisoformat(command["now"]))
    database = Database(command["database"], clock)

    def after(_link: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith(STATEMENTS.get(doom.point, "-")):
            doom.at(doom.point)

    event.listen(database.engine, "after_cursor_execute", after)
    provider = DoomedProvider(
        "sk_test_simulated", webhook_secret="whsec", base_url=command["provider"]
    )
    provider.doom = doom
    desk = Desk(database, provider, clock, Sender("Meet2Be", "events@meet2be.example"))
    checkout = CheckoutDesk(desk, DoomedWarehouse(doom, command["told"]), "https://shop.example")
    tenant, order = int(command["tenant"]), command["order"]
    links: tuple[tuple[str, Callable[[], Outcome]], ...] = (
        ("validate", lambda: completing.validate_order(checkout, tenant, order)),
        ("payment", lambda: process_payment(checkout, tenant, order, trusted)),
        ("inventory", lambda: completing.update_inventory(checkout, tenant, order)),
        ("confirmation", lambda: completing.send_confirmation(checkout, tenant, order)),
        ("notification", lambda: notify_warehouse(checkout, tenant, order, trusted)),
    )
    for name, link in links:
        if isinstance(link(), Wait):
            return 3
        doom.at(f"after_{name}")
    return 0


def main() -> None:
    load_models()
    for line in sys.stdin:
        command = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(child(command))
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(json.dumps(os.waitstatus_to_exitcode(status)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
