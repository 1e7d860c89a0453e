"""A worker's child with several threads, but without a process or a broker: the crew on doubles."""

import os
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from onqueue.coroutines import EventLoop
from onqueue.worker.attempt import Attempts
from onqueue.worker.child import Lifeline
from onqueue.worker.crew import Crew
from onqueue.worker.cutting import ThreadCutter
from onqueue.worker.options import WorkerOptions
from onqueue.worker.outfit import wanted_cut
from onqueue.worker.runner import Runner
from onqueue.worker.shared import Cut, Exit, Shared, Slot
from onqueue.worker.sharing import SharedConsumer, SharedLocks, SharedSettlement
from onqueue.worker.stopping import StopReason
from onqueue.worker.unix_signals import Wakeup
from support.child_loop import Bench


class CrewBench(Bench):
    """One child's crew with everything around it in a test's hands."""

    def __init__(self, runners: int, services: Any = None) -> None:
        super().__init__(services)
        self.runners = runners
        self.at_end: Callable[[], object] = lambda: None
        self.owed: list[str] = []
        """What the broker is owed; a test's trips clear it."""
        self.shared = Shared(128, runners)
        self.shared.vouch(1e9)

    def run(self, **given: Any) -> tuple[Exit, StopReason | None]:
        """Let the crew work until nothing is ready."""
        chosen = {"stop_when_empty": True, "memory": 0, "concurrency": self.runners, **given}
        options = WorkerOptions(**chosen)
        reader, writer = os.pipe()
        event_loop = EventLoop()
        self.wakeup, guard = Wakeup(), threading.RLock()
        lifeline = Lifeline(self.consumer.holder, self.shared, self.clock)
        consumer: Any = SharedConsumer(self.consumer, guard)
        settlement = SharedSettlement(
            guard,
            self.consumer,
            connection="redis",
            consumer=consumer,
            failed=self.failed,
            outbox=self.outbox,
            clock=self.clock,
            lifeline=lifeline,
        )
        cutters = [self._cutter_of(slot) for slot in self.shared.slots]
        numbers = count(1)
        runners = [
            Runner(
                holder=self.consumer.holder,
                slot=slot,
                shared=self.shared,
                clock=self.clock,
                attempts=Attempts(
                    connection="redis",
                    options=options,
                    clock=self.clock,
                    lifeline=lifeline,
                    cutter=cutter,
                    locks=SharedLocks(self.consumer.locks(), guard, cutter),
                    limits=self.consumer.limits(),
                    services=self.services,
                    keys=self.keys,
                    gives_up=self.manager.gives_up,
                    event_loop=event_loop,
                ),
                settlement=settlement,
                numbers=numbers,
                notices=writer,
            )
            for slot, cutter in zip(self.shared.slots, cutters, strict=True)
        ]
        crew = Crew(
            connection="redis",
            queues=("default",),
            options=options,
            clock=self.clock,
            shared=self.shared,
            consumer=consumer,
            settlement=settlement,
            runners=runners,
            cutters=cutters,
            guard=guard,
            wakeup=self.wakeup,
            started=self.clock.monotonic(),
            owed=self.owed,
        )
        try:
            return crew.run()
        finally:
            self.at_end()
            for thread in threading.enumerate():
                if thread.name.startswith("onqueue-runner-"):
                    thread.join(10)
            event_loop.close()
            self.wakeup.close()
            os.close(reader)
            os.close(writer)

    def cut(self, job_id: str, why: Cut) -> None:
        """Do what the parent does to cut a running job short."""
        [slot] = [slot for slot in self.shared.slots if self._runs(slot, job_id)]
        slot.cut(slot.number, why)
        self.wakeup.knock()

    def stop(self) -> None:
        """Do what the parent does to let the child end."""
        self.shared.ask_to_stop()
        self.wakeup.knock()

    def at_work(self) -> int:
        """Return how many threads have not ended."""
        return sum(one.name.startswith("onqueue-runner-") for one in threading.enumerate())

    @staticmethod
    def _runs(slot: Slot, job_id: str) -> bool:
        running = slot.running()
        return running is not None and running.job_id == job_id

    @staticmethod
    def _cutter_of(slot: Slot) -> ThreadCutter:
        return ThreadCutter(lambda: wanted_cut(slot))
