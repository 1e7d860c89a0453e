"""Queues served by weight instead of strict priority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from onqueue.contracts import JobId, Turn


@runtime_checkable
class Preferring(Protocol):
    """A consumer whose queues can be put into another order; without one there are no weights."""

    def prefer(self, queues: Sequence[str]) -> None:
        """Serve the same queues in this order from the next turn on."""
        ...


class Strides:
    """The order in which queues get their share: each job moves its queue on by 1 / weight.

    Who is furthest back comes first. A queue that was empty when its turn came is moved up to
    the others: it does not save up turns for later.
    """

    def __init__(self, weights: Mapping[str, int]) -> None:
        """Begin with all queues at the same place; the first named comes first."""
        self._steps = {queue: 1 / weight for queue, weight in weights.items()}
        self._places = dict.fromkeys(weights, 0.0)

    def order(self) -> list[str]:
        """Return the queues in the order in which to look."""
        return sorted(self._places, key=self._places.__getitem__)

    def note(self, order: Sequence[str], queue: str, jobs: int) -> None:
        """Take in that looking in this order brought so many jobs of one queue."""
        places = self._places
        for empty in order[: order.index(queue)]:
            places[empty] = max(places[empty], places[queue])
        places[queue] += jobs * self._steps[queue]


class WeightedConsumer:
    """Has each turn of a consumer look into its queues in the order of their shares."""

    def __init__(self, consumer: Any, weights: Mapping[str, int]) -> None:
        """Stand in for a `Preferring` consumer."""
        self._consumer = consumer
        self._strides = Strides(weights)
        total = sum(weights.values())
        self._shares = {queue: weight / total for queue, weight in weights.items()}

    def __getattr__(self, name: str) -> Any:
        """Return the consumer's attribute."""
        return getattr(self._consumer, name)

    def turn(self, want: int, done: Sequence[JobId]) -> Turn:
        """Confirm the finished jobs and reserve some of the queue that is due.

        Of `want` jobs it may have its share, so that shares are even also in the short run.
        """
        order = self._strides.order()
        if want:
            self._consumer.prefer(order)
            want = max(1, round(want * self._shares[order[0]]))
        turn: Turn = self._consumer.turn(want, done)
        if turn.jobs:
            self._strides.note(order, turn.jobs[0].queue, len(turn.jobs))
        return turn
