"""Queues that share a worker by weight."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from onqueue.console.work import _weighed
from onqueue.contracts import ReservedJob, Turn
from onqueue.errors import ConfigurationError
from onqueue.worker.options import WorkerOptions
from onqueue.worker.weights import Preferring, Strides, WeightedConsumer

WEIGHTS = {"a": 5, "b": 3, "c": 1}


class Queues:
    """A consumer of queues with so many jobs each, which takes from the first that has any."""

    def __init__(self, waiting: Mapping[str, int]) -> None:
        self.waiting = dict(waiting)
        self.order = list(waiting)

    def prefer(self, queues: Any) -> None:
        self.order = list(queues)

    def turn(self, want: int, done: Any) -> Turn:
        del done
        for at, queue in enumerate(self.order):
            count = min(self.waiting[queue], want if at == 0 else 1)
            if count:
                self.waiting[queue] -= count
                return Turn([ReservedJob("0", queue, b"")] * count, None, [])
        return Turn([], None, [])


def taken(consumer: WeightedConsumer, want: int, turns: int) -> Counter[str]:
    """Return how many jobs of each queue so many turns brought."""
    return Counter(job.queue for _ in range(turns) for job in consumer.turn(want, []).jobs)


@pytest.mark.parametrize("want", [1, 7, 128])
def test_shares_follow_the_weights_and_no_queue_starves(want: int) -> None:
    queues = Queues(dict.fromkeys(WEIGHTS, 10**6))
    assert isinstance(queues, Preferring)
    shares = taken(WeightedConsumer(queues, WEIGHTS), want, 2000)
    for queue, weight in WEIGHTS.items():
        assert shares[queue] / shares.total() == pytest.approx(weight / 9, rel=0.1)


def test_an_empty_queue_leaves_its_share_to_the_others_and_saves_nothing_up() -> None:
    queues = Queues({"a": 0, "b": 10**6, "c": 10**6})
    consumer = WeightedConsumer(queues, WEIGHTS)
    shares = taken(consumer, 8, 2000)
    assert shares["b"] / shares["c"] == pytest.approx(3, rel=0.1)
    queues.waiting["a"] = 10**6
    shares = taken(consumer, 8, 90)
    assert shares["a"] / shares.total() == pytest.approx(5 / 9, rel=0.1)


def test_a_turn_that_wants_nothing_changes_no_order() -> None:
    queues = Queues({"b": 1, "a": 1})
    WeightedConsumer(queues, {"a": 2, "b": 1}).turn(0, [])
    assert queues.order == ["b", "a"]


def test_who_was_named_first_comes_first_among_equals() -> None:
    assert Strides({"b": 1, "a": 1}).order() == ["b", "a"]


def test_weights_are_told_behind_the_names_and_a_name_may_hold_a_colon() -> None:
    assert _weighed(("a:3", "b", "x:y:2")) == (("a", "b", "x:y"), (3, 1, 2))


def test_weights_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="whole numbers from 1 on"):
        WorkerOptions(queues=("a",), weights=(0,))
    with pytest.raises(ConfigurationError, match="one for each of the queues"):
        WorkerOptions(queues=("a", "a"), weights=(1, 2))
