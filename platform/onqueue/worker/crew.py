"""The child's loop with several runners: threads that share one lease and one consumer.

Whoever has nothing to do looks for work. What one trip brings is held in common; a thread that
finds nothing waits for the broker, one at a time, and the others wait to be woken by whoever finds
something. The main thread runs no job: it hears the parent and passes its wishes on.
"""

from __future__ import annotations

import logging
import select
import threading
from collections import deque
from typing import TYPE_CHECKING

from onqueue import events
from onqueue.errors import BrokerUnavailable, LeaseLost
from onqueue.worker.prefetch import Prefetch
from onqueue.worker.processes import resident_memory
from onqueue.worker.shared import Exit, Phase
from onqueue.worker.stopping import Situation, StopReason, stop_reason
from onqueue.worker.unix_signals import Knock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import RLock

    from onqueue.contracts import Clock, Consumer, ReservedJob
    from onqueue.worker.cutting import ThreadCutter
    from onqueue.worker.options import WorkerOptions
    from onqueue.worker.runner import Runner
    from onqueue.worker.settlement import Settlement
    from onqueue.worker.shared import Shared
    from onqueue.worker.unix_signals import Wakeup

log = logging.getLogger("onqueue.worker")

_AWAY = 0.1
"""Seconds before an idle child looks again for a broker that went away."""

_BUSY_GUARD = 0.02
"""Seconds until the main thread tries again to wake sleepers, while a trip is under way."""


class Crew:
    """What a child does all day, with threads. Everything it needs is handed in."""

    def __init__(
        self,
        *,
        connection: str,
        queues: tuple[str, ...],
        options: WorkerOptions,
        clock: Clock,
        shared: Shared,
        consumer: Consumer,
        settlement: Settlement,
        runners: Sequence[Runner],
        cutters: Sequence[ThreadCutter],
        guard: RLock,
        wakeup: Wakeup,
        started: float,
        jobs_before: int = 0,
        longest_wait: float = 5.0,
    ) -> None:
        """`consumer` and `settlement` take the `guard` themselves; times as in `Loop`."""
        self._looping = events.Looping(connection, queues)
        self._options = options
        self._clock = clock
        self._shared = shared
        self._consumer = consumer
        self._settlement = settlement
        self._runners = runners
        self._cutters = cutters
        self._guard = guard
        self._called = threading.Condition(guard)
        self._knock = Knock()
        self._wakeup = wakeup
        self._started = started
        self._jobs_before = jobs_before
        self._longest_wait = longest_wait
        self._prefetch = Prefetch(1 if options.rest else shared.prefetch)
        self._held: deque[ReservedJob] = deque()
        self._position = 0
        self._begun = 0
        self._busy = 0
        self._sleepers = 0
        self._has_waiter = False
        self._at_work = len(runners)
        self._next_due: float | None = None
        self._reason: StopReason | None = None
        self._must_recycle = False
        self._error: BaseException | None = None

    def run(self) -> tuple[Exit, StopReason | None]:
        """Work until there is a reason to stop; return how the child ends."""
        threads = [
            threading.Thread(
                target=self._serve, args=(runner,), name=f"onqueue-runner-{at}", daemon=True
            )
            for at, runner in enumerate(self._runners, 1)
        ]
        for thread in threads:
            thread.start()
        self._conduct()
        if self._error is None:
            for thread in threads:
                thread.join()
        try:
            self._finish()
        except LeaseLost:
            return Exit.LEASE_LOST, None
        except BaseException:
            self._save_done()
            raise
        return (Exit.STOPPED, self._reason) if self._reason else (Exit.RECYCLED, None)

    def _finish(self) -> None:
        """Confirm what is done; raises what a thread could not go on for."""
        if self._error is not None:
            raise self._error
        self._confirm()

    # ---- the main thread ----

    def _conduct(self) -> None:
        """Pass on what the parent wants, until all threads have ended or one cannot go on.

        Cuts come first and wait for nothing; waking sleepers needs the guard.
        """
        poller = select.poll()
        poller.register(self._wakeup, select.POLLIN)
        owes_call = False
        while self._at_work and self._error is None:
            poller.poll(_BUSY_GUARD * 1000 if owes_call else None)
            self._wakeup.drain()
            for cutter in self._cutters:
                cutter.strike()
            owes_call = not self._call_all()

    def _call_all(self) -> bool:
        """Wake whoever sleeps or waits; False when the guard was not free."""
        if not self._guard.acquire(blocking=False):
            return False
        try:
            self._called.notify_all()
            if self._has_waiter:
                self._knock.knock()
        finally:
            self._guard.release()
        return True

    # ---- each thread ----

    def _serve(self, runner: Runner) -> None:
        """Run jobs until there are to be no more."""
        try:
            runner.slot.enter(Phase.WORKING)
            reserved = self._next(runner)
            while reserved is not None:
                begun = self._clock.monotonic()
                ended = runner.run_one(reserved, begun)
                reserved = self._next(runner, ended - begun)
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self._error = self._error or error
            self._wakeup.knock()
        finally:
            runner.slot.enter(Phase.WAITING)
            with self._guard:
                self._at_work -= 1
            self._wakeup.knock()

    # ---- what to do next; all of it under the guard ----

    def _next(self, runner: Runner, took: float | None = None) -> ReservedJob | None:
        """Return the next job, after a trip or a wait where need be; None when there is to be none.

        `took` is how many seconds the last one took.
        """
        with self._guard:
            if took is not None:
                self._note_end(runner, took)
            while not self._is_ending():
                if self._shared.should_pause:
                    self._return_held()
                    self._sleep(runner, max(self._options.sleep, 1.0))
                    self._look_for_reason()
                    continue
                reserved = self._claim() or self._fetch()
                if reserved is not None:
                    return reserved
                if not self._is_ending():
                    self._wait(runner)
            self._return_held()
            self._called.notify_all()
            if self._has_waiter:
                self._knock.knock()
        return None

    def _note_end(self, runner: Runner, took: float) -> None:
        """Count a job that ended, and wake who waits for that; then rest, if one is to."""
        self._busy -= 1
        self._shared.count()
        self._prefetch.learn(1, took)
        self._must_recycle = self._must_recycle or runner.must_recycle
        if self._sleepers and (self._busy == 0 or self._must_recycle):
            self._called.notify_all()
        if self._options.rest:
            self._rest(runner)

    def _rest(self, runner: Runner) -> None:
        """Take no job for a while."""
        until = self._clock.monotonic() + self._options.rest
        while (left := until - self._clock.monotonic()) > 0 and not self._is_ending():
            self._sleep(runner, left)

    def _is_ending(self) -> bool:
        if self._shared.should_stop and self._reason is None:
            self._look_for_reason()
        return self._reason is not None or self._must_recycle or self._error is not None

    def _look_for_reason(self, *, empty: bool = False) -> None:
        now = Situation(
            interrupted=self._shared.should_stop,
            empty=empty,
            memory=resident_memory() if self._options.memory else 0.0,
            running_for=self._clock.monotonic() - self._started,
            jobs=self._jobs_before + self._shared.finished,
        )
        self._reason = self._reason or stop_reason(self._options, now)

    def _claim(self) -> ReservedJob | None:
        """Take a held job; none is left when the parent gave them back."""
        while self._held:
            reserved = self._held.popleft()
            if not self._shared.claim(self._position):
                self._held.clear()
                break
            self._position += 1
            self._begun += 1
            self._busy += 1
            if self._held:
                self._call_one()
            return reserved
        return None

    def _fetch(self) -> ReservedJob | None:
        """Make a trip; whoever finds something calls another to look for more."""
        self._look_for_reason()
        want = self._want()
        if self._reason is not None or want == 0:
            return None
        if events.looping.receivers:
            events.tell(events.looping, self._looping)
        turn = self._settlement.turn(want)
        self._next_due = turn.next_due
        if turn.jobs:
            self._shared.hold([reserved.id for reserved in turn.jobs])
            self._held.extend(turn.jobs)
            self._position = 0
            reserved = self._claim()
            self._call_one()
            return reserved
        if self._ends_by_itself and self._busy == 0:
            self._look_for_reason(empty=True)
        return None

    @property
    def _ends_by_itself(self) -> bool:
        return self._options.stop_when_empty or self._options.once

    def _want(self) -> int:
        """Return how many jobs the idle threads can take, and the others while jobs are short."""
        idle = len(self._runners) - self._busy
        ahead = self._prefetch.want() * len(self._runners) if self._prefetch.is_short else 0
        want = min(self._shared.prefetch, max(idle, ahead))
        limit = self._options.job_limit
        return min(want, max(0, limit - self._jobs_before - self._begun)) if limit else want

    def _call_one(self) -> None:
        """Wake one thread that sleeps, or else the one that waits for the broker."""
        if self._sleepers:
            self._called.notify()
        elif self._has_waiter:
            self._knock.knock()

    def _wait(self, runner: Runner) -> None:
        """Wait for the broker if nobody does, else until called."""
        if self._has_waiter or self._ends_by_itself or self._want() == 0:
            self._sleep(runner, None)
            return
        due = self._longest_wait if self._next_due is None else self._next_due
        self._has_waiter = True
        self._guard.release()
        try:
            self._wait_for_broker(runner, due)
        finally:
            self._guard.acquire()
            self._has_waiter = False

    def _wait_for_broker(self, runner: Runner, seconds: float) -> None:
        """Wait; a broker that goes away meanwhile is the next turn's business."""
        runner.slot.enter(Phase.WAITING)
        runner.is_quiet = True
        try:
            self._consumer.wait(seconds, self._knock.fileno())
        except BrokerUnavailable:
            self._clock.sleep(_AWAY)
        self._knock.drain()
        runner.slot.enter(Phase.WORKING)

    def _sleep(self, runner: Runner, seconds: float | None) -> None:
        """Wait until called, or for so long."""
        runner.slot.enter(Phase.WAITING)
        runner.is_quiet = True
        self._sleepers += 1
        try:
            self._called.wait(seconds)
        finally:
            self._sleepers -= 1
        runner.slot.enter(Phase.WORKING)

    # ---- the end ----

    def _return_held(self) -> None:
        """Give back what was not started."""
        held, self._held = [reserved.id for reserved in self._held], deque()
        with self._shared.lock:
            if held and not self._shared.recalled:
                self._shared.hold([])
                self._settlement.give_back(held)

    def _confirm(self) -> None:
        """Have the broker take note of what is done."""
        if self._settlement.unconfirmed:
            self._settlement.turn(0)

    def _save_done(self) -> None:
        """Try to keep what succeeded from being run again, although this process is broken."""
        try:
            self._confirm()
        except Exception:
            log.exception("jobs that succeeded could not be confirmed and may run again")
