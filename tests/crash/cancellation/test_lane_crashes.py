"""Lanes are killed and stopped at each of their points; the provider's ledger says what came of it.

Whatever dies, each payment is refunded exactly once, to the cent, and each attendee gets one mail.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from meet2be.attendees.models import Attendee
from meet2be.invoices.models import Invoice
from support.cancelling import Conference
from support.factories import Ticket

pytestmark = pytest.mark.crash
RUNNER = Path(__file__).with_name("lane_runner.py")
KILLED = -signal.SIGKILL
DONE, LOST = 0, 3
POINTS = (
    "after_reserve", "after_claim", "during_call", "after_success", "in_settle", "after_settle",
    "after_slice", "before_done",
)  # fmt: skip
PASSED_ONCE = {"after_slice", "before_done"}
RANDOM_KILLS = 40


class Workers:
    """A conference whose lane is worked, in children of one process for all tests."""

    def __init__(self, process: "subprocess.Popen[str]", meeting: Conference) -> None:
        self._process = process
        self._meeting = [
            meeting.database.engine.url.render_as_string(hide_password=False),
            meeting.provider.url, str(meeting.tenant.id), meeting.run_uid,
        ]  # fmt: skip

    def work(self, point: str = "never", turn: int = 1, *, stop: bool = False) -> dict[str, Any]:
        """Return how a child ended that worked lane 0: `code`, or `pid` when it was stopped."""
        command = {"meeting": self._meeting, "lane": 0}
        return self._ask({**command, "point": point, "turn": turn, "stop": stop})

    def revive(self, pid: int) -> int:
        """Let a stopped child go on and return its exit code."""
        os.kill(pid, signal.SIGCONT)
        return int(self._ask({"wait": pid})["code"])

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def runner() -> Iterator["subprocess.Popen[str]"]:
    """The process that works lanes in children of its own."""
    command = [sys.executable, str(RUNNER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


@pytest.fixture
def workers(runner: "subprocess.Popen[str]") -> Callable[[Conference], Workers]:
    """Confirms a conference's cancellation in one lane and returns who works it."""

    def confirm(meeting: Conference) -> Workers:
        meeting.confirm(lanes=1)
        return Workers(runner, meeting)

    return confirm


Confirm = Callable[[Conference], Workers]


def sell(meeting: Conference, orders: int) -> None:
    for number in range(orders):
        tickets = [
            Ticket(price=1_000 * (place + 1) + number, email=f"p{number}-{place}@example.org")
            for place in range(number % 3 + 1)
        ]
        meeting.sell(*tickets)
    meeting.sell(Ticket(price=0, email="free@example.org"))


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


@pytest.mark.parametrize(
    ("point", "turn"),
    [(point, turn) for point in POINTS for turn in (1, 3) if turn == 1 or point not in PASSED_ONCE],
)
def test_a_lane_killed_at_each_point_refunds_everybody_once(
    meeting: Conference, workers: Confirm, point: str, turn: int
) -> None:
    sell(meeting, 9)
    if point == "during_call":
        meeting.provider.control.behave(latency_ms=300)
    lane = workers(meeting)
    assert lane.work(point, turn)["code"] == KILLED
    meeting.provider.control.behave(latency_ms=0)
    assert lane.work()["code"] == DONE
    check_everybody_once(meeting)


def test_a_lane_killed_again_and_again_anywhere_refunds_everybody_once(
    meeting: Conference, workers: Confirm
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails, to repeat it
    dice = random.Random(seed)
    sell(meeting, 30)
    kills = 0
    lane = workers(meeting)
    for _ in range(RANDOM_KILLS):
        ended = lane.work("anywhere", dice.randrange(1, 60))["code"]
        assert ended in {KILLED, DONE}
        kills += ended == KILLED
        if ended == DONE:
            break
    assert lane.work()["code"] == DONE
    assert kills >= 5
    check_everybody_once(meeting)


@pytest.mark.postgres
@pytest.mark.parametrize("point", ["after_reserve", "after_success", "in_settle"])
def test_a_lane_killed_on_postgresql_refunds_everybody_once(
    postgres_meeting: Conference, workers: Confirm, point: str
) -> None:
    sell(postgres_meeting, 9)
    lane = workers(postgres_meeting)
    assert lane.work(point, 2)["code"] == KILLED
    assert lane.work()["code"] == DONE
    check_everybody_once(postgres_meeting)


@pytest.mark.parametrize("point", ["after_claim", "after_success"])
def test_a_worker_stopped_past_its_lease_is_refused_when_it_comes_back(
    meeting: Conference, workers: Confirm, point: str
) -> None:
    sell(meeting, 9)
    lane = workers(meeting)
    zombie = lane.work(point, 2, stop=True)
    assert zombie["stopped"]
    assert lane.work()["code"] == DONE
    check_everybody_once(meeting)
    # It repeats its call under the same key, and may write nothing of it.
    assert lane.revive(zombie["pid"]) == LOST
    check_everybody_once(meeting)
