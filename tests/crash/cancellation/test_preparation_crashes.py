"""The list of a large run is written by workers that are killed between and inside its chunks.

Nobody stands in it twice or is left out, and nothing is refunded before it is complete and was
compared with what somebody confirmed.
"""

from collections.abc import Callable

import pytest

from meet2be.cancellations import preparing
from meet2be.events.models import Event
from meet2be.orders.models import Order
from support.cancelling import Conference, change
from support.factories import Ticket
from support.lane_workers import DONE, KILLED, LaneWorkers, check_everybody_once

pytestmark = pytest.mark.crash
CHUNK = 2
Confirm = Callable[..., LaneWorkers]


@pytest.fixture(autouse=True)
def _every_run_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "IN_THE_REQUEST", 0)


def sell(meeting: Conference) -> int:
    """Sell by ones, twos and threes, and one for free; return how many people come."""
    for number in range(4):
        meeting.sell(
            *(
                Ticket(price=1_000 + number, email=f"p{number}-{place}@example.org")
                for place in range(number % 3 + 1)
            )
        )
    meeting.sell(Ticket(price=0, email="free@example.org"))
    return 8


def killed(meeting: Conference, lane: LaneWorkers, point: str, turn: int) -> int:
    """Have a worker killed there; return how many items are written and look at them."""
    assert lane.work(point, turn, chunk=CHUNK)["code"] == KILLED, f"{point} was not passed"
    items = meeting.items()
    assert len({item.attendee_id for item in items}) == len(items)
    assert [item.unit for item in items] == sorted(item.unit for item in items)
    assert (meeting.refunds(), meeting.at_provider(), meeting.mails()) == ([], {}, [])
    return len(items)


def test_a_list_whose_writer_is_killed_at_each_point_is_complete_and_holds_nobody_twice(
    meeting: Conference, workers: Confirm
) -> None:
    number = sell(meeting)
    lane = workers(meeting)
    written = [
        killed(meeting, lane, point, turn)
        for point, turn in (
            ("in_chunk", 1), ("after_chunk", 1), ("in_chunk", 2), ("after_chunk", 1),
            ("in_comparison", 1), ("in_note", 1),
        )
    ]  # fmt: skip
    assert written == [0, 3, 6, 8, 8, 8]
    assert meeting.run().preparation is not None
    assert killed(meeting, lane, "after_note", 1) == number
    assert meeting.run().preparation is None
    assert lane.work()["code"] == DONE
    assert len(meeting.items()) == number
    check_everybody_once(meeting)


def test_a_list_that_proves_stale_is_taken_away_whoever_is_killed_over_it(
    meeting: Conference, workers: Confirm
) -> None:
    sell(meeting)
    run = meeting.preview()
    payment = meeting.payments()[0]
    change(meeting, type(payment), payment.id, status="disputed")
    lane = workers(meeting, run)
    written = [
        killed(meeting, lane, point, turn)
        for point, turn in (
            ("after_chunk", 2), ("in_note", 1), ("after_note", 1), ("in_removal", 1),
            ("after_removal", 1), ("in_removal", 2), ("after_removal", 2),
        )
    ]  # fmt: skip
    assert written[1:] == [8, 8, 8, 6, 4, 0]
    assert lane.work(chunk=CHUNK)["code"] == DONE
    assert (meeting.run().state, meeting.rows(Event)[0].status) == ("preview", "live")
    assert (meeting.items(), meeting.refunds(), meeting.mails()) == ([], [], [])


def test_a_run_whose_end_is_killed_between_its_steps_ends_once(
    meeting: Conference, workers: Confirm
) -> None:
    for number in range(2):
        meeting.sell(Ticket(price=1_000, email=f"p{number}@example.org"))
    left = [meeting.sell(Ticket(status="cancelled"), payment=None).order.id for _ in range(5)]
    for each in left:
        change(meeting, Order, each, status="expired")
    lane = workers(meeting)
    cancelled = []
    points = (("in_orders", 1), ("after_orders", 1), ("in_orders", 2), ("before_done", 1))
    for point, turn in points:
        assert lane.work(point, turn, chunk=CHUNK)["code"] == KILLED
        assert meeting.run().state == "running"
        cancelled.append([row.status for row in meeting.rows(Order)].count("cancelled"))
    assert cancelled == [2, 4, 6, 7]
    assert lane.work()["code"] == DONE
    assert (meeting.run().state, len(meeting.mails())) == ("done", 2)
    assert [len(each) for each in meeting.at_provider().values()] == [1, 1]
