"""Jobs that are to end because somebody cancelled them: told first, cut later, killed at last."""

from __future__ import annotations

import logging
import select
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onqueue.contracts import Burial
from onqueue.errors import BrokerUnavailable
from onqueue.worker.deadlines import GRACE, LOOK
from onqueue.worker.shared import Cut

if TYPE_CHECKING:
    from onqueue.contracts import CancelOrder, Clock, JobId, Orders
    from onqueue.worker.shared import Slot
    from onqueue.worker.watched import Child

log = logging.getLogger("onqueue.worker")

AWAY: Final = 2.0
"""Seconds until a broker that was away is asked for orders again."""

BETWEEN: Final = 5.0
"""Seconds for which a cancelled job is looked out for that was held and did not run yet."""


@dataclass(slots=True)
class Told:
    """A run that knows it is to end; instants are monotonic."""

    slot: Slot
    number: int
    job_id: JobId
    cut_at: float
    is_cut: bool = False


class Cancelling:
    """Carries out the orders for one child.

    A job that the child holds but has not started is left alone: the broker remembers that it
    was cancelled, and the parent has it come round once more.
    """

    def __init__(self, orders: Orders | None, clock: Clock) -> None:
        """Take orders where the driver has them."""
        self._orders = orders
        self._clock = clock
        self._told: list[Told] = []
        self._untold: list[tuple[CancelOrder, float]] = []
        self._asks_again_at = 0.0
        self._descriptor: int | None = None
        self.wants_recall = False
        """Whether a cancelled job is held unstarted."""

    def watch(self, poller: select.poll) -> None:
        """Have the poller notice the next order."""
        if self._orders is None or self._clock.monotonic() < self._asks_again_at:
            return
        try:
            descriptor = self._orders.fileno()
        except BrokerUnavailable:
            self._give_up(poller)
            return
        if descriptor != self._descriptor:
            self._forget(poller)
            poller.register(descriptor, select.POLLIN)
            self._descriptor = descriptor

    def heed(self, poller: select.poll, ready: list[tuple[int, int]], child: Child) -> None:
        """Take the order that has come, if one has."""
        if self._orders is None or self._descriptor not in {descriptor for descriptor, _ in ready}:
            return
        try:
            order = self._orders.take()
        except BrokerUnavailable:
            self._give_up(poller)
            return
        if order is not None:
            self._tell(order, child)

    def keep(self, child: Child) -> None:
        """Cut the runs that did not end in time; kill the child when one cannot be cut."""
        now = self._clock.monotonic()
        self._untold = [
            (order, until)
            for order, until in self._untold
            if now < until and not self._is_told(order, child)
        ]
        self._told = [told for told in self._told if told.slot.number == told.number]
        for told in self._told:
            if not told.is_cut and now >= told.cut_at:
                told.is_cut = True
                told.slot.cut(told.number, Cut.CANCEL)
                child.look()
            elif now >= told.cut_at + GRACE:
                log.warning(
                    "job %s is killed, as it did not end when it was cancelled", told.job_id
                )
                child.cancelled.add(told.job_id)
                running = told.slot.running()
                child.overran = [running] if running is not None else []
                child.kill(Burial("timeout"))

    def next_look(self) -> float | None:
        """Return the monotonic instant of the next duty, None when there is none."""
        instants = [told.cut_at + (GRACE if told.is_cut else 0.0) for told in self._told]
        if self._untold:
            instants.append(self._clock.monotonic() + LOOK)
        if self._asks_again_at > self._clock.monotonic():
            instants.append(self._asks_again_at)
        return min(instants, default=None)

    def close(self) -> None:
        """Give back the line to the broker."""
        if self._orders is not None:
            self._orders.close()

    def _tell(self, order: CancelOrder, child: Child) -> None:
        if not self._is_told(order, child):
            self.wants_recall = True
            self._untold.append((order, self._clock.monotonic() + BETWEEN))

    def _is_told(self, order: CancelOrder, child: Child) -> bool:
        for slot in child.shared.slots:
            running = slot.running()
            if running is not None and running.job_id == order.job_id:
                slot.ask_to_end(running.number)
                cut_at = self._clock.monotonic() + order.grace
                self._told.append(Told(slot, running.number, order.job_id, cut_at))
                log.info("job %s is to end: it was cancelled", order.job_id)
                return True
        return False

    def _give_up(self, poller: select.poll) -> None:
        self._forget(poller)
        self._asks_again_at = self._clock.monotonic() + AWAY

    def _forget(self, poller: select.poll) -> None:
        if self._descriptor is not None:
            poller.unregister(self._descriptor)
            self._descriptor = None
