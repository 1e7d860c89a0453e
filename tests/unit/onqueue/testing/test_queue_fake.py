"""The fake queue."""

import pytest

import onqueue
from onqueue import Job, QueueManager
from onqueue.errors import NoCurrentManager, UnknownConnection, UnserializableArgument
from onqueue.testing import queue_fake


class ShipOrder(Job):
    queue = "parcels"
    order: int

    def handle(self) -> None: ...


class Bill(Job):
    order: int = 1

    def handle(self) -> None: ...


def test_it_keeps_what_was_dispatched_as_a_worker_would_get_it() -> None:
    """K85, B20."""
    with queue_fake() as queue:
        sent = ShipOrder(5).delay(minutes=1)
        job_id = sent.dispatch()
        onqueue.dispatch_many([Bill(), Bill(2).on_queue("slow")])
        queue.assert_pushed(ShipOrder)
        queue.assert_pushed(Bill, times=2)
        queue.assert_pushed(Bill, lambda bill: bill.order == 2, times=1)
        queue.assert_pushed_on("parcels", ShipOrder)
        queue.assert_pushed_on("slow", Bill, lambda bill: bill.order == 2)
        queue.assert_not_pushed(ShipOrder, lambda ship: ship.order == 6)
        queue.assert_count(3)
        kept = queue.pushed[0]
        assert (kept.id, kept.job, kept.delay) == (job_id, sent, 60)
        assert kept.job is not sent


def test_its_assertions_fail_with_a_list_of_what_there_was() -> None:
    with queue_fake() as queue:
        queue.assert_nothing_pushed()
        ShipOrder(5).dispatch()
        with pytest.raises(AssertionError, match=r"no such Bill.*\n *ShipOrder\(order=5\)"):
            queue.assert_pushed(Bill)
        with pytest.raises(AssertionError, match="1 × ShipOrder, not 2"):
            queue.assert_pushed(ShipOrder, times=2)
        with pytest.raises(AssertionError, match="on queue 'slow'"):
            queue.assert_pushed_on("slow", ShipOrder)
        with pytest.raises(AssertionError, match="expected none"):
            queue.assert_not_pushed(ShipOrder)
        with pytest.raises(AssertionError, match="1 jobs, expected none"):
            queue.assert_nothing_pushed()
        with pytest.raises(AssertionError, match="1 jobs, not 2"):
            queue.assert_count(2)


def test_what_cannot_travel_fails_the_test() -> None:
    with queue_fake(), pytest.raises(UnserializableArgument):
        ShipOrder(object()).dispatch()  # type: ignore[arg-type]


def test_only_some_classes_or_all_but_some_are_kept() -> None:
    """K85."""
    with queue_fake(ShipOrder) as queue:
        ShipOrder(1).dispatch()
        Bill().dispatch()
        queue.assert_count(1)
    with queue_fake(all_but=[ShipOrder]) as queue:
        ShipOrder(1).dispatch()
        Bill().dispatch_sync()
        queue.assert_pushed(Bill)
        queue.assert_not_pushed(ShipOrder)


def test_an_unknown_connection_is_an_error_as_in_earnest() -> None:
    manager = QueueManager("null", {"null": {"driver": "null"}})
    with queue_fake(manager=manager), pytest.raises(UnknownConnection):
        Bill().on_connection("nowhere").dispatch()


def test_afterwards_everything_is_as_before() -> None:
    onqueue.use(None)
    with queue_fake() as queue:
        pass
    with pytest.raises(NoCurrentManager):
        Bill().dispatch()
    queue.assert_nothing_pushed()
