"""The child's loop: reserve, run, decide, settle, and on to the next, until a reason to stop."""

from __future__ import annotations

import logging
import select
from itertools import count
from typing import TYPE_CHECKING

from onqueue import events
from onqueue.errors import BrokerUnavailable, LeaseLost
from onqueue.worker.prefetch import Prefetch
from onqueue.worker.processes import resident_memory
from onqueue.worker.runner import Runner
from onqueue.worker.shared import Exit, Phase
from onqueue.worker.stopping import Situation, StopReason, stop_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onqueue.contracts import Clock, Consumer, JobId, ReservedJob
    from onqueue.worker.attempt import Attempts
    from onqueue.worker.cutting import Cutter
    from onqueue.worker.options import WorkerOptions
    from onqueue.worker.settlement import Settlement
    from onqueue.worker.shared import Shared
    from onqueue.worker.unix_signals import Wakeup

log = logging.getLogger("onqueue.worker")

_AWAY = 0.1
"""Seconds before an idle child looks again for a broker that went away."""


class Loop:
    """What a child does all day. Everything it needs is handed in, so it runs without a fork."""

    def __init__(
        self,
        *,
        connection: str,
        queues: tuple[str, ...],
        options: WorkerOptions,
        clock: Clock,
        shared: Shared,
        consumer: Consumer,
        attempts: Attempts,
        settlement: Settlement,
        cutter: Cutter,
        wakeup: Wakeup,
        notices: int,
        started: float,
        jobs_before: int = 0,
        longest_wait: float = 5.0,
        most: int = 0,
    ) -> None:
        """`started` (monotonic) and `jobs_before` are the worker's, over all its children.

        After `most` jobs (0: never) the process is replaced.
        """
        self._looping = events.Looping(connection, queues)
        self._options = options
        self._clock = clock
        self._shared = shared
        self._consumer = consumer
        self._settlement = settlement
        self._cutter = cutter
        self._wakeup = wakeup
        self._started = started
        self._jobs_before = jobs_before
        self._longest_wait = longest_wait
        self._most = most
        self._prefetch = Prefetch(1 if options.rest else shared.prefetch)
        self._is_empty = False
        self._slot = shared.slots[0]
        self._runner = Runner(
            holder=consumer.holder,
            slot=self._slot,
            shared=shared,
            clock=clock,
            attempts=attempts,
            settlement=settlement,
            numbers=count(1),
            notices=notices,
        )

    def run(self) -> tuple[Exit, StopReason | None]:
        """Work until there is a reason to stop; return how the child ends."""
        try:
            while (reason := self._reason_to_stop()) is None and not self._is_worn_out:
                if self._shared.should_pause:
                    self._confirm()  # else the last outcome would wait for the end of the pause
                    self._settlement.leave()
                    self._doze(max(self._options.sleep, 1.0))
                    continue
                jobs = self._reserve()
                if jobs:
                    self._work_off(jobs)
            self._confirm()
            self._settlement.leave()
        except LeaseLost:
            return Exit.LEASE_LOST, None
        except BaseException:
            self._save_done()
            raise
        return (Exit.STOPPED, reason) if reason else (Exit.RECYCLED, None)

    def settle_only(self, doomed: Sequence[JobId]) -> tuple[Exit, StopReason | None]:
        """Fail doomed jobs, those still there, and end: for a worker that is to stop."""
        try:
            held = self._settlement.turn(self._shared.prefetch).jobs
            self._shared.hold([reserved.id for reserved in held])
            for position, reserved in enumerate(held):
                if reserved.id in doomed and reserved.doom and self._shared.claim(position):
                    self._runner.run_one(reserved, self._clock.monotonic())
            self._confirm()
        except LeaseLost:
            return Exit.LEASE_LOST, None
        except BrokerUnavailable as error:
            log.warning("doomed jobs are left to the next worker: %s", error)
        return Exit.RECYCLED, None

    # ---- between jobs ----

    @property
    def _is_worn_out(self) -> bool:
        """Whether another process is to go on."""
        has_done_all = bool(self._most) and self._shared.finished >= self._most
        return has_done_all or self._runner.must_recycle

    def _reason_to_stop(self) -> StopReason | None:
        now = Situation(
            interrupted=self._shared.should_stop,
            empty=self._is_empty,
            memory=resident_memory() if self._options.memory else 0.0,
            running_for=self._clock.monotonic() - self._started,
            jobs=self._jobs_before + self._shared.finished,
        )
        return stop_reason(self._options, now)

    def _reserve(self) -> list[ReservedJob]:
        """Return the next jobs; when there are none, wait for some first and return none."""
        if events.looping.receivers:
            events.tell(events.looping, self._looping)
        limit = self._options.job_limit
        left = limit - self._jobs_before - self._shared.finished if limit else None
        if self._most:
            to_do = self._most - self._shared.finished
            left = to_do if left is None else min(left, to_do)
        try:
            turn = self._settlement.turn(self._prefetch.want(left))
        except BrokerUnavailable:  # which reaches this only when the worker is to stop
            return []
        if turn.jobs:
            self._shared.hold([reserved.id for reserved in turn.jobs])
            return turn.jobs
        self._is_empty = turn.next_due != 0  # 0: there is more, which this trip did not reach
        if not (self._options.stop_when_empty or self._options.once):
            due = self._longest_wait if turn.next_due is None else turn.next_due
            self._rest_until(lambda: self._consumer.wait(due, self._wakeup.fileno()))
        return []

    def _doze(self, seconds: float) -> None:
        """Do nothing for a while, but wake up when the parent wants something."""
        milliseconds = seconds * 1000
        poller = select.poll()
        poller.register(self._wakeup, select.POLLIN)
        self._rest_until(lambda: poller.poll(milliseconds))

    def _rest_until(self, wait: Callable[[], object]) -> None:
        """Wait; a broker that goes away meanwhile is the next turn's business."""
        self._slot.enter(Phase.WAITING)
        self._runner.is_quiet = True
        try:
            wait()
        except BrokerUnavailable:
            self._clock.sleep(_AWAY)
        self._wakeup.drain()
        self._cutter.attention = False
        self._slot.enter(Phase.WORKING)

    def _confirm(self) -> None:
        """Have the broker take note of what is done."""
        if self._settlement.done:
            self._settlement.turn(0)

    def _save_done(self) -> None:
        """Try to keep what succeeded from being run again, although this process is broken."""
        try:
            self._confirm()
        except Exception:
            log.exception("jobs that succeeded could not be confirmed and may run again")

    # ---- the jobs of one trip ----

    def _work_off(self, jobs: Sequence[ReservedJob]) -> None:
        """Run what one trip brought, unless the parent takes it back or wants a stop."""
        shared, clock, cutter, runner = self._shared, self._clock, self._cutter, self._runner
        begun = now = clock.monotonic()
        position = 0
        for reserved in jobs:
            if not shared.claim(position):
                break
            position += 1
            now = runner.run_one(reserved, now)
            shared.count()
            if cutter.attention or runner.must_recycle:
                cutter.attention = False
                if runner.must_recycle or shared.should_stop or shared.should_pause:
                    self._return(jobs[position:])
                    break
            if self._settlement.is_doubtful:
                self._settlement.is_doubtful = False
                self._return(jobs[position:])
                break
            if self._options.rest:
                self._doze(self._options.rest)
        self._prefetch.learn(position, now - begun)

    def _return(self, jobs: Sequence[ReservedJob]) -> None:
        """Give back what was not started."""
        with self._shared.lock:
            if jobs and not self._shared.recalled:
                self._shared.hold([])
                self._settlement.give_back([reserved.id for reserved in jobs])
