"""Delivers mails and kills itself at a given point of one; its successor gets the same mails."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from meet2be.db import Database
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


def play(point: str, url: str, port: int, turn: int, *mails: int) -> None:
    """Deliver mails, dying at a point of the one whose turn it is."""
    clock = SystemClock()
    transport = DyingTransport(SmtpSettings("127.0.0.1", port), point, turn)
    database = Database(url, clock)
    delivery = MailDelivery(database, transport, OutcomeRecorder(), clock, 1)
    delivery.deliver(list(mails), token="the-job")
