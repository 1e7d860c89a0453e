"""What the threads of a worker owe the broker: each answers for its own successes."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from onqueue.testing.clock import FakeClock
from onqueue.worker.child import Lifeline
from onqueue.worker.shared import Shared
from onqueue.worker.sharing import SharedSettlement
from support.child_loop import ConsumerDouble, FailedDouble


@pytest.fixture
def settlement() -> SharedSettlement:
    consumer, clock = ConsumerDouble(), FakeClock()
    return SharedSettlement(
        threading.RLock(),
        consumer,
        connection="redis",
        consumer=consumer,
        failed=FailedDouble(),
        outbox=None,
        clock=clock,
        lifeline=Lifeline(consumer.holder, Shared(1), clock),
    )


def success(number: int) -> Any:
    """Return what a thread succeeded with."""
    return SimpleNamespace(reserved=SimpleNamespace(id=f"{number:032x}"))


def test_a_thread_owes_the_confirmation_of_its_own_success_until_any_trip_takes_it(
    settlement: SharedSettlement,
) -> None:
    other = threading.Thread(target=settlement.succeed, args=(success(1), 0.1))
    other.start()
    other.join()
    owes = [settlement.owes_confirmation]
    settlement.succeed(success(2), 0.1)
    owes.append(settlement.owes_confirmation)
    assert len(settlement.unconfirmed) == 2
    trip = threading.Thread(target=settlement.turn, args=(0,))
    trip.start()
    trip.join()
    assert len(settlement.unconfirmed) == 0
    assert [*owes, settlement.owes_confirmation] == [False, True, False]
