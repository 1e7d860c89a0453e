"""What a child is given to work with: put together here, so that its loops can be tested alone."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING

from onqueue.bus.carrying import Carrier
from onqueue.coroutines import EventLoop
from onqueue.errors import JobCancelled, JobInterrupted, JobTimedOut, UnsupportedByDriver
from onqueue.worker.attempt import Attempts
from onqueue.worker.counting import Counting
from onqueue.worker.crew import Crew
from onqueue.worker.cutting import Cutter, ThreadCutter
from onqueue.worker.loop import Loop
from onqueue.worker.prefetch import SHORT
from onqueue.worker.runner import Runner
from onqueue.worker.settlement import Settlement
from onqueue.worker.shared import Cut
from onqueue.worker.shared_limits import Desk, SharedLimits
from onqueue.worker.sharing import (
    Foresighted,
    Shareable,
    SharedConsumer,
    SharedLocks,
    SharedSettlement,
)
from onqueue.worker.unix_signals import heed_not, reset_for_child
from onqueue.worker.weights import Preferring, WeightedConsumer

if TYPE_CHECKING:
    from typing import Any

    from onqueue.connections import QueueManager
    from onqueue.contracts import Checkpoints, Consumer, Locks
    from onqueue.job_context import Lifeline
    from onqueue.quotas import Limits
    from onqueue.worker.errand import Errand
    from onqueue.worker.shared import Shared, Slot


class Outfit:
    """Makes the loop of a child, or its crew; one of them, once."""

    def __init__(
        self,
        manager: QueueManager,
        errand: Errand,
        shared: Shared,
        lifeline: Lifeline,
        notices: int,
    ) -> None:
        """Take over the signals: from here on the child hears its parent, nobody else."""
        self._manager = manager
        self._errand = errand
        self._shared = shared
        self._lifeline = lifeline
        self._notices = notices
        self._event_loop = EventLoop()
        self._cutter = Cutter(lambda: wanted_cut(shared.slots[0]), self._stop_signal)
        is_alone = errand.options.concurrency == 1 or bool(errand.only)
        self._wakeup = reset_for_child(self._cutter.on_signal if is_alone else heed_not)

    def loop(self) -> Loop:
        """Return what runs one job at a time."""
        errand, manager, consumer = self._errand, self._manager, self._consumer()
        return Loop(
            connection=errand.connection,
            queues=errand.queues,
            options=errand.options,
            clock=manager.clock,
            shared=self._shared,
            consumer=consumer,
            attempts=self._attempts(
                self._shared.slots[0],
                self._cutter,
                consumer.locks(),
                consumer.limits(),
                consumer.checkpoints(),
            ),
            settlement=Settlement(**self._stores(consumer)),
            cutter=self._cutter,
            wakeup=self._wakeup,
            notices=self._notices,
            started=errand.started,
            jobs_before=errand.jobs_before,
            longest_wait=self._longest_wait,
            most=errand.most,
        )

    def crew(self) -> Crew:
        """Return what runs several at a time; raises `UnsupportedByDriver` where none can."""
        errand, manager, guard = self._errand, self._manager, threading.RLock()
        alone = self._consumer()
        if not isinstance(alone, Shareable):
            driver = manager.config(errand.connection).driver
            raise UnsupportedByDriver("--concurrency", errand.connection, driver, "threads")
        alone.share(guard)
        consumer: Any = SharedConsumer(alone, guard)
        settlement = SharedSettlement(guard, alone.marks(), **self._stores(consumer))
        desk = Desk(consumer.limits(), guard)
        cutters = [self._cutter_of(slot) for slot in self._shared.slots]
        numbers = count(1)
        runners = [
            Runner(
                holder=errand.holder,
                slot=slot,
                shared=self._shared,
                clock=manager.clock,
                attempts=self._attempts(
                    slot,
                    cutter,
                    SharedLocks(consumer.locks(), guard, cutter),
                    SharedLimits(desk, cutter),
                    alone.checkpoints(),
                ),
                settlement=settlement,
                numbers=numbers,
                notices=self._notices,
                slow=SHORT,
            )
            for slot, cutter in zip(self._shared.slots, cutters, strict=True)
        ]
        return Crew(
            connection=errand.connection,
            queues=errand.queues,
            options=errand.options,
            clock=manager.clock,
            shared=self._shared,
            consumer=consumer,
            settlement=settlement,
            runners=runners,
            cutters=cutters,
            guard=guard,
            wakeup=self._wakeup,
            started=errand.started,
            jobs_before=errand.jobs_before,
            longest_wait=self._longest_wait,
            owed=alone.owed,
        )

    # ---- the parts ----

    def _consumer(self) -> Consumer:
        errand = self._errand
        queue = self._manager.workable(errand.connection)
        self._longest_wait = queue.config.block_for
        consumer = queue.consumer(errand.holder, errand.queues, force=errand.options.force)
        if isinstance(consumer, Foresighted):
            consumer.coming = self._shared.left
        weights = errand.options.weights
        if not weights:
            return consumer
        if not isinstance(consumer, Preferring):
            driver = queue.config.driver
            raise UnsupportedByDriver("--weighted", errand.connection, driver, "weights")
        weighted: Any = WeightedConsumer(consumer, dict(zip(errand.queues, weights, strict=True)))
        shared: Consumer = weighted
        return shared

    def _attempts(
        self,
        slot: Slot,
        cutter: Cutter,
        locks: Locks,
        limits: Limits,
        checkpoints: Checkpoints | None,
    ) -> Attempts:
        manager = self._manager
        return Attempts(
            connection=self._errand.connection,
            options=self._errand.options,
            clock=manager.clock,
            lifeline=self._lifeline,
            cutter=cutter,
            locks=locks,
            limits=limits,
            services=manager.services,
            scope=manager.scope,
            keys=manager.keys,
            gives_up=manager.gives_up,
            event_loop=self._event_loop,
            checkpoints=checkpoints,
            tracer=manager.tracer,
            is_cancelled=lambda number: slot.cancelled == number,
        )

    def _cutter_of(self, slot: Slot) -> ThreadCutter:
        return ThreadCutter(lambda: wanted_cut(slot), self._stop_signal)

    def _stop_signal(self) -> int:
        return self._shared.stop_signal

    def _stores(self, consumer: Consumer) -> dict[str, Any]:
        manager = self._manager
        return {
            "connection": self._errand.connection,
            "consumer": consumer,
            "failed": manager.failed,
            "outbox": manager.outbox,
            "clock": manager.clock,
            "lifeline": self._lifeline,
            "carry": Carrier(manager, self._errand.connection).carry,
            "counting": Counting(manager, self._errand.connection) if manager.batches else None,
        }


def wanted_cut(slot: Slot) -> tuple[int, BaseException | None]:
    """Return which run of a slot its parent wants cut short, and what to raise in it."""
    number, why = slot.wanted_cut
    if why is Cut.TIMEOUT:
        running = slot.running()
        return number, JobTimedOut(running.timeout if running else 0.0)
    if why is Cut.CANCEL:
        return number, JobCancelled()
    return number, JobInterrupted() if why is Cut.INTERRUPT else None
