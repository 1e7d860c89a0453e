"""A process whose child does what a mail job does and kills itself at a given point.

Its successors, two more children, do the same again, as a queue would have it.
"""

from __future__ import annotations

import os
import sys

from delivery_runner import DyingTransport  # type: ignore[import-not-found]  # beside this

from meet2be.accounts import welcome
from meet2be.db import Database
from meet2be.db.tables import load_models
from meet2be.integrations.mail_smtp import SmtpSettings
from meet2be.mailings import courier
from meet2be.mailings.delivery import MailDelivery
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.services import Sender
from onqueue.clock import SystemClock


def main(url: str, port: str, point: str, kind: str, mail: str) -> None:
    load_models()
    for where in (point, "never", "never"):
        pid = os.fork()
        if pid == 0:
            do(url, port, where, kind, int(mail))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")


def do(url: str, port: str, point: str, kind: str, mail: int) -> None:
    """Do what `SendTransactionalEmail.handle` and `SendWelcomeEmail.handle` do."""
    clock = SystemClock()
    transport = DyingTransport(SmtpSettings("127.0.0.1", int(port)), point, 1)
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


if __name__ == "__main__":
    main(*sys.argv[1:])
