"""Lanes worked in children of one process, which are killed or stopped on the way."""

import os
import signal
from typing import Any

from meet2be.attendees.models import Attendee
from meet2be.invoices.models import Invoice
from support.cancelling import Conference
from support.runners import Runner

KILLED = -signal.SIGKILL
DONE, LOST = 0, 3


class LaneWorkers:
    """A conference whose lane is worked, in children of one process for all tests."""

    def __init__(self, runner: Runner, meeting: Conference) -> None:
        self._runner = runner
        self._meeting = [
            meeting.database.engine.url.render_as_string(hide_password=False),
            meeting.provider.url, str(meeting.tenant.id), meeting.run_uid,
        ]  # fmt: skip

    def work(
        self, point: str = "never", turn: int = 1, *, stop: bool = False, chunk: int | None = None
    ) -> dict[str, Any]:
        """Return how a child ended that worked lane 0: `code`, or `pid` when it was stopped.

        `chunk` is the size of what it prepares and of what it closes the run with at a time.
        """
        command = {"meeting": self._meeting, "lane": 0, "chunk": chunk}
        return self._ask({**command, "point": point, "turn": turn, "stop": stop})

    def revive(self, pid: int) -> int:
        """Let a stopped child go on and return its exit code."""
        os.kill(pid, signal.SIGCONT)
        return int(self._ask({"wait": pid})["code"])

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._runner.ask(command)
        return answer


def check_everybody_once(meeting: Conference) -> None:
    """Count from the provider's own ledger and from our mails."""
    owed = {
        made.payment.provider_ref: [made.payment.amount_minor]
        for made in meeting.orders
        if made.payment is not None
    }
    assert meeting.at_provider() == owed
    attendees = meeting.rows(Attendee)
    assert {row.status for row in attendees} == {"cancelled"}
    assert all(row.refunded_minor == row.price_minor for row in attendees)
    assert len(meeting.mails()) == len(attendees)
    for payment in meeting.payments():
        assert (payment.reserved_minor, payment.refunded_minor) == (0, payment.amount_minor)
    notes = sorted(row.number for row in meeting.rows(Invoice) if row.kind == "credit_note")
    year = meeting.clock.now().year
    assert notes == [f"CN-{year}-{number:05d}" for number in range(1, len(owed) + 1)]
    assert meeting.run().state == "done"
