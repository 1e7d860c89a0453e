"""What the threads of a child hold in common, and what their parent sees of it."""

import pytest

from onqueue.contracts import ReservedJob
from onqueue.worker.shared import Shared
from onqueue.worker.stock import Stock

JOBS = [ReservedJob(f"{number:032x}", "default", b"") for number in range(6)]
IDS = [job.id for job in JOBS]


@pytest.fixture
def shared() -> Shared:
    return Shared(8)


@pytest.fixture
def stock(shared: Shared) -> Stock:
    return Stock(shared)


def test_jobs_are_taken_in_order_also_those_that_came_later(stock: Stock) -> None:
    stock.add(JOBS[:2])
    first = stock.take()
    stock.add(JOBS[2:4])
    assert [first, stock.take(), stock.take(), stock.take(), stock.take()] == [*JOBS[:4], None]
    assert (stock.begun, stock.busy) == (4, 4)


def test_the_parent_takes_back_what_nobody_began_of_all_trips(shared: Shared, stock: Stock) -> None:
    stock.add(JOBS[:3])
    stock.take()
    stock.add(JOBS[3:5])
    with shared.lock:
        assert shared.recall() == IDS[1:5]
    assert stock.take() is None
    assert stock.begun == 1


def test_what_the_parent_took_back_is_not_held_again_with_what_comes_next(
    shared: Shared, stock: Stock
) -> None:
    stock.add(JOBS[:3])
    with shared.lock:
        shared.recall()
    stock.add(JOBS[3:5])
    assert [stock.take(), stock.take(), stock.take()] == [*JOBS[3:5], None]


def test_jobs_that_ended_are_counted_for_the_parent_and_for_the_next_trip(
    shared: Shared, stock: Stock
) -> None:
    stock.add(JOBS[:2])
    stock.take()
    stock.take()
    stock.end(0.5)
    stock.end(0.25)
    assert (stock.busy, shared.finished) == (0, 2)
    assert [stock.lately(), stock.lately()] == [(2, 0.75), (0, 0.0)]


def test_what_is_cleared_is_handed_out_no_more(stock: Stock) -> None:
    stock.add(JOBS[:3])
    stock.take()
    assert stock.clear() == IDS[1:3]
    assert stock.take() is None
    assert not stock
