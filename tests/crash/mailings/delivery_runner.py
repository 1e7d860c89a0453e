"""A process whose child delivers mails and kills itself at a given point of one.

Its successor, another child, gets the same mails. It prints how both ended.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence

from meet2be.db import Database
from meet2be.db.tables import load_models
from meet2be.integrations.mail import Envelope
from meet2be.integrations.mail_smtp import SmtpSettings, SmtpTransport
from meet2be.mailings.delivery import MailDelivery
from meet2be.mailings.outcomes import OutcomeRecorder
from onqueue.clock import SystemClock


class DyingTransport(SmtpTransport):
    """Dies before or after it hands over the message of its turn."""

    def __init__(self, settings: SmtpSettings, point: str, turn: int) -> None:
        super().__init__(settings)
        self.point, self.left = point, turn

    def prepare(self, envelope: Envelope, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.left -= 1
        self._die_at("before_prepare")
        super().prepare(envelope, meanwhile)
        self._die_at("after_prepare")

    def transmit(self, envelope: Envelope, following: Envelope | None = None) -> str:
        self._die_at("after_claim")
        answer = super().transmit(envelope, following)
        self._die_at("after_data")
        return answer

    def _die_at(self, point: str) -> None:
        if self.left == 0 and self.point == point:
            os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, port: str, point: str, turn: str, *mails: str) -> None:
    load_models()
    for where in (point, "never"):
        pid = os.fork()
        if pid == 0:
            deliver(url, port, where, turn, mails)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")


def deliver(url: str, port: str, point: str, turn: str, mails: Sequence[str]) -> None:
    clock = SystemClock()
    transport = DyingTransport(SmtpSettings("127.0.0.1", int(port)), point, int(turn))
    database = Database(url, clock)
    delivery = MailDelivery(database, transport, OutcomeRecorder(), clock, 1)
    delivery.deliver([int(mail) for mail in mails], token="the-job")


if __name__ == "__main__":
    main(*sys.argv[1:])
