"""Lanes are killed and stopped at each of their points; the provider's ledger says what came of it.

Whatever dies, each payment is refunded exactly once, to the cent, and each attendee gets one mail.
"""

import random
from collections.abc import Callable

import pytest

from support.cancelling import Conference
from support.factories import Ticket
from support.lane_workers import DONE, KILLED, LOST, LaneWorkers, check_everybody_once

pytestmark = pytest.mark.crash
POINTS = (
    "after_reserve", "after_claim", "during_call", "after_success", "in_settle", "after_settle",
    "after_slice", "before_done",
)  # fmt: skip
PASSED_ONCE = {"after_slice", "before_done"}
RANDOM_KILLS = 40


Confirm = Callable[[Conference], LaneWorkers]


def sell(meeting: Conference, orders: int) -> None:
    for number in range(orders):
        tickets = [
            Ticket(price=1_000 * (place + 1) + number, email=f"p{number}-{place}@example.org")
            for place in range(number % 3 + 1)
        ]
        meeting.sell(*tickets)
    meeting.sell(Ticket(price=0, email="free@example.org"))


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
