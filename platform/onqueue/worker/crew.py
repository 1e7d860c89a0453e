"""The child's loop with several runners: threads that share one lease and one consumer.

Whoever has nothing to do looks for work. What one trip brings is held in common, and while jobs are
short and many the next trip is made by one thread before the others have used it up. A thread that
finds nothing waits for the broker, one at a time, and the others wait to be woken by whoever finds
something. The main thread runs no job: it hears the parent and passes its wishes on.
"""

from __future__ import annotations

import logging
import select
import threading
from typing import TYPE_CHECKING

from onqueue import events
from onqueue.errors import BrokerUnavailable, LeaseLost
from onqueue.worker.prefetch import Prefetch
from onqueue.worker.processes import be_patient, resident_memory
from onqueue.worker.shared import Exit, Phase
from onqueue.worker.stock import Stock
from onqueue.worker.stopping import Situation, StopReason, stop_reason
from onqueue.worker.unix_signals import Knock

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized
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
        owed: Sized = (),
    ) -> None:
        """`consumer` and `settlement` take the `guard` themselves; times as in `Loop`.

        What is `owed` to the broker goes with the next trip, which then comes before a job.
        """
        self._owed = owed
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
        self._stock = Stock(shared)
        self._low = 0
        self._is_fetching = False
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
        """Confirm what is done, and leave; raises what a thread could not go on for."""
        if self._error is not None:
            raise self._error
        self._confirm()
        self._settlement.leave()

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
        be_patient()
        try:
            runner.slot.enter(Phase.WORKING)
            reserved, begun = self._next(runner), self._clock.monotonic()
            while reserved is not None:
                ended = runner.run_one(reserved, begun)
                self._note_end(runner, ended - begun)
                reserved, begun = self._go_on(), ended
                if reserved is None:
                    reserved, begun = self._next(runner), self._clock.monotonic()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self._error = self._error or error
            self._wakeup.knock()
        finally:
            runner.slot.enter(Phase.WAITING)
            with self._guard:
                self._at_work -= 1
            self._wakeup.knock()

    def _note_end(self, runner: Runner, took: float) -> None:
        """Count a job that ended after so many seconds; then rest, if one is to."""
        self._stock.end(took)
        if runner.must_recycle:
            self._must_recycle = True
        if self._options.rest:
            with self._guard:
                self._rest(runner)

    def _go_on(self) -> ReservedJob | None:
        """Return a held job at once, as nearly always; None when there is more to think about.

        The guard may be held for as long as a trip takes, so it is not asked for.
        """
        if self._is_wanted_otherwise or self._is_low or self._settlement.is_doubtful or self._owed:
            return None
        return self._stock.take()

    @property
    def _is_wanted_otherwise(self) -> bool:
        shared = self._shared
        ends = self._reason is not None or self._must_recycle or self._error is not None
        return ends or shared.should_stop or shared.should_pause

    @property
    def _is_low(self) -> bool:
        """Whether somebody should fetch more now, and nobody does."""
        return len(self._stock) <= self._low and not self._is_fetching

    # ---- what to do next; all of it under the guard ----

    def _next(self, runner: Runner) -> ReservedJob | None:
        """Return the next job, after a trip or a wait where need be; None when there is none."""
        with self._guard:
            while not self._is_ending():
                if self._shared.should_pause:
                    self._tell_owed()
                    self._return_held()
                    self._sleep(runner, max(self._options.sleep, 1.0))
                    self._look_for_reason()
                    continue
                if self._settlement.is_doubtful:
                    self._settlement.is_doubtful = False
                    self._return_held()
                if self._is_low:
                    self._fetch()
                self._tell_owed()
                reserved = self._stock.take()
                if reserved is not None:
                    return reserved
                if not self._is_ending():
                    self._wait(runner)
            self._tell_owed()
            self._return_held()
            self._called.notify_all()
            if self._has_waiter:
                self._knock.knock()
        return None

    def _rest(self, runner: Runner) -> None:
        """Take no job for a while."""
        self._tell_owed()
        until = self._clock.monotonic() + self._options.rest
        while (left := until - self._clock.monotonic()) > 0 and not self._is_ending():
            self._sleep(runner, left)

    def _tell_owed(self) -> None:
        """Make a trip for what the broker is owed, when no other has taken it along."""
        if self._owed and self._error is None:
            try:
                self._settlement.turn(0)
            except BrokerUnavailable:  # which reaches this only when the worker is to stop
                self._look_for_reason()

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

    def _fetch(self) -> None:
        """Make a trip; whoever finds something calls the others, and one to look for more."""
        self._look_for_reason()
        self._prefetch.learn(*self._stock.lately())
        want = self._want()
        if self._reason is not None or want == 0:
            self._low = 0
            return
        if events.looping.receivers:
            events.tell(events.looping, self._looping)
        # Whoever ends a job during the trip may leave another behind it, and looks for itself.
        was_idle, self._is_fetching = self._is_idle, True
        try:
            turn = self._settlement.turn(want)
        except BrokerUnavailable:  # which reaches this only when the worker is to stop
            self._look_for_reason()
            return
        finally:
            self._is_fetching = False
        self._next_due = turn.next_due
        if turn.jobs:
            self._stock.add(turn.jobs)
            self._call(len(turn.jobs))
        elif self._ends_by_itself and was_idle and turn.next_due != 0:
            self._look_for_reason(empty=True)
        has_more = len(turn.jobs) == want and self._prefetch.is_short
        self._low = len(self._stock) // 2 if has_more else 0

    @property
    def _is_idle(self) -> bool:
        return not self._stock.busy and not self._stock

    @property
    def _ends_by_itself(self) -> bool:
        return self._options.stop_when_empty or self._options.once

    def _want(self) -> int:
        """Return how many jobs the idle threads can take, and the others while jobs are short."""
        stock, runners = self._stock, len(self._runners)
        ahead = self._prefetch.want() * runners if self._prefetch.is_short else 0
        want = min(self._shared.prefetch, max(runners - stock.busy, ahead)) - len(stock)
        limit = self._options.job_limit
        left = limit - self._jobs_before - stock.begun - len(stock) if limit else want
        return max(0, min(want, left))

    def _call(self, jobs: int) -> None:
        """Wake a thread for each of so many jobs but one, and one that goes on looking."""
        if self._sleepers:
            self._called.notify(jobs)
        if self._has_waiter and jobs > self._sleepers:
            self._knock.knock()

    def _wait(self, runner: Runner) -> None:
        """Wait for the broker if nobody does, else until called; what is done is told before."""
        if self._settlement.owes_confirmation:
            self._settlement.turn(0, at_stake=True)
            return
        waits_for_none = self._ends_by_itself and self._next_due != 0
        if self._has_waiter or waits_for_none or self._want() == 0:
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
        held = self._stock.clear()
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
