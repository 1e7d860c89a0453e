"""Does what a mail job does and kills itself at a given point.

Its successors do the same again, as a queue would have it.
"""

from __future__ import annotations

from delivery_part import DyingTransport  # type: ignore[import-not-found]  # beside this

from meet2be.accounts import welcome
from meet2be.db import Database
from meet2be.integrations.mail_smtp import SmtpSettings
from meet2be.mailings import courier
from meet2be.mailings.delivery import MailDelivery
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.services import Sender
from onqueue.clock import SystemClock


def play(point: str, url: str, port: int, kind: str, mail: int) -> None:
    """Do what `SendTransactionalEmail.handle` and `SendWelcomeEmail.handle` do."""
    clock = SystemClock()
    transport = DyingTransport(SmtpSettings("127.0.0.1", port), point, 1)
    delivery = MailDelivery(Database(url, clock), transport, OutcomeRecorder(), clock, 1)
    if not courier.is_wanted(delivery, mail):
        return
    courier.wake_tx(delivery, mail)
    sender = Sender("Meet2Be", "events@meet2be.example")
    if kind == "welcome" and not welcome.prepare_tx(delivery, mail, "https://m2b.example", sender):
        return
    delivery.deliver(
        [mail], "the-job", let_through=lambda rows: courier.hold_back_tx(delivery, rows)
    )
    if kind == "welcome":
        welcome.settle_tx(delivery, mail)
