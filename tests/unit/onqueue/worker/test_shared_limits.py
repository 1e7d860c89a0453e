"""Threads that ask for limits at the same time are answered by one trip."""

import threading
from typing import Any

import pytest

from onqueue.errors import BrokerUnavailable
from onqueue.quotas import Quota
from onqueue.worker.shared_limits import Desk
from support.child_loop import LimitsDouble
from support.waiting import eventually

SLOTS = Quota("slots", "s", 1)


class Many(LimitsDouble):
    """Notes for how many it was asked at once."""

    def __init__(self) -> None:
        super().__init__()
        self.trips: list[int] = []
        self.fails = 0

    def admit_all(self, asked: Any) -> list[float | None]:
        self.trips.append(len(asked))
        if self.fails:
            self.fails -= 1
            raise BrokerUnavailable("c", "nowhere", "the test sent it away")
        return [self.admit(*one) for one in asked]


def ask_at_once(desk: Desk, owners: list[str]) -> dict[str, Any]:
    """Have threads ask while another makes a trip; return what each was told."""
    told: dict[str, Any] = {}

    def ask(owner: str) -> None:
        try:
            told[owner] = desk.admit([SLOTS], owner, "q")
        except BrokerUnavailable as error:
            told[owner] = type(error)

    threads = [threading.Thread(target=ask, args=(owner,)) for owner in owners]
    with desk.guard:
        for thread in threads:
            thread.start()
        eventually(lambda: len(desk._waiting) == len(owners))
    for thread in threads:
        thread.join(10)
    return told


@pytest.fixture
def limits() -> Many:
    return Many()


@pytest.fixture
def desk(limits: Many) -> Desk:
    return Desk(limits, threading.RLock())


def test_who_waits_for_a_trip_is_asked_for_by_the_next_one(desk: Desk, limits: Many) -> None:
    limits.shut["s"] = 7.0
    assert ask_at_once(desk, list("abcd")) == dict.fromkeys("abcd", 7.0)
    assert limits.trips == [4]
    assert sorted(told[1] for told in limits.told) == list("abcd")


def test_a_trip_that_fails_is_only_the_fault_of_who_made_it(desk: Desk, limits: Many) -> None:
    limits.fails = 1
    told = ask_at_once(desk, list("abcd"))
    assert sorted(map(str, told.values())) == sorted([*["None"] * 3, str(BrokerUnavailable)])
    assert limits.trips == [4, 3]
