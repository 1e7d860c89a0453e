"""The child's loop: reserve, run, decide, settle, and on to the next, until a reason to stop."""

from __future__ import annotations

import logging
import os
import random
import select
from typing import TYPE_CHECKING

from onqueue import events
from onqueue.errors import BrokerUnavailable, LeaseLost
from onqueue.worker.attempt import RETURNED
from onqueue.worker.deadlines import LONG_RUN
from onqueue.worker.decision import SUCCEEDED, decide
from onqueue.worker.prefetch import SLOW, Prefetch
from onqueue.worker.processes import end_copy, resident_memory
from onqueue.worker.shared import Exit, Phase
from onqueue.worker.stopping import Situation, StopReason, stop_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onqueue.contracts import Clock, Consumer, JobId, ReservedJob
    from onqueue.worker.attempt import Attempt, Attempts, Cutter
    from onqueue.worker.decision import Decision, Result
    from onqueue.worker.options import WorkerOptions
    from onqueue.worker.settlement import Settlement
    from onqueue.worker.shared import Shared
    from onqueue.worker.unix_signals import Wakeup

log = logging.getLogger("onqueue.worker")

_AWAY = 0.1
"""Seconds before an idle child looks again for a broker that went away."""

HOOK_TIMEOUT = 60.0
"""Seconds that `failed` may take where the job itself has no timeout."""


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
    ) -> None:
        """`started` (monotonic) and `jobs_before` are the worker's, over all its children."""
        self._looping = events.Looping(connection, queues)
        self._options = options
        self._clock = clock
        self._shared = shared
        self._consumer = consumer
        self._attempts = attempts
        self._settlement = settlement
        self._cutter = cutter
        self._wakeup = wakeup
        self._notices = notices
        self._started = started
        self._jobs_before = jobs_before
        self._longest_wait = longest_wait
        self._prefetch = Prefetch(1 if options.rest else shared.prefetch)
        self._pid = os.getpid()
        self._number = 0
        self._is_quiet = True
        self._is_empty = False
        self._must_recycle = False

    def run(self) -> tuple[Exit, StopReason | None]:
        """Work until there is a reason to stop; return how the child ends."""
        try:
            while (reason := self._reason_to_stop()) is None and not self._must_recycle:
                if self._shared.should_pause:
                    self._doze(max(self._options.sleep, 1.0))
                    continue
                jobs = self._reserve()
                if jobs:
                    self._work_off(jobs)
            self._confirm()
        except LeaseLost:
            return Exit.LEASE_LOST, None
        except BaseException:
            self._save_done()
            raise
        return (Exit.STOPPED, reason) if reason else (Exit.RECYCLED, None)

    def settle_only(self, job_id: JobId) -> tuple[Exit, StopReason | None]:
        """Fail one doomed job, if it is still there, and end: for a worker that is to stop."""
        try:
            held = self._settlement.turn(self._shared.prefetch).jobs
            self._shared.hold([reserved.id for reserved in held])
            for position, reserved in enumerate(held):
                if reserved.id == job_id and reserved.doom and self._shared.claim(position):
                    self._run_one(reserved, self._clock.monotonic())
            self._confirm()
        except LeaseLost:
            return Exit.LEASE_LOST, None
        return Exit.RECYCLED, None

    # ---- between jobs ----

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
        turn = self._settlement.turn(self._prefetch.want(left))
        if turn.jobs:
            self._shared.hold([reserved.id for reserved in turn.jobs])
            return turn.jobs
        self._is_empty = True
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
        self._shared.enter(Phase.WAITING)
        self._is_quiet = True
        try:
            wait()
        except BrokerUnavailable:
            self._clock.sleep(_AWAY)
        self._wakeup.drain()
        self._cutter.attention = False
        self._shared.enter(Phase.WORKING)

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
        shared, clock, cutter = self._shared, self._clock, self._cutter
        begun = now = clock.monotonic()
        position = 0
        for reserved in jobs:
            if not shared.claim(position):
                break
            position += 1
            now = self._run_one(reserved, now)
            shared.count()
            if cutter.attention or self._must_recycle:
                cutter.attention = False
                if self._must_recycle or shared.should_stop or shared.should_pause:
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

    def _run_one(self, reserved: ReservedJob, started: float) -> float:
        """Run one job to its outcome and return the monotonic instant of its end."""
        attempt = self._attempts.prepare(reserved)
        settlement, recipe = self._settlement, attempt.recipe
        if attempt.verdict is None and attempt.durable:
            attempt.verdict = settlement.verdict_of_outbox(attempt)
        if recipe is None or attempt.verdict is not None:
            self._settle(attempt, attempt.verdict or SUCCEEDED, 0.0)
            return self._clock.monotonic()
        if started >= self._shared.vouched_until:
            raise LeaseLost(self._consumer.holder, reserved.id)
        if settlement.done and recipe.expected > SLOW:
            settlement.turn(0)
        settlement.mark(reserved.id)
        if events.job_processing.receivers:
            settlement.tell_processing(attempt)
        result = self._run(attempt, started)
        ended = self._clock.monotonic()
        recipe.expected = duration = ended - started
        if duration >= LONG_RUN:
            self._is_quiet = True
        if result is RETURNED and not attempt.durable and attempt.error is None:
            settlement.succeed(attempt, duration)
            return ended
        self._conclude(attempt, result, duration)
        return self._clock.monotonic()

    def _run(self, attempt: Attempt, started: float) -> Result:
        """Run under the parent's eyes; it is told when it may have looked away."""
        reserved = attempt.reserved
        self._number = number = self._number + 1
        self._shared.begin(
            number, started, attempt.limits.timeout, reserved.attempts, reserved.exceptions
        )
        if self._is_quiet:
            self._is_quiet = False
            os.write(self._notices, b"!")
        try:
            return self._attempts.run(attempt, number)
        finally:
            self._end_run()

    def _conclude(self, attempt: Attempt, result: Result, duration: float) -> None:
        """Decide and settle every end but a plain success."""
        if attempt.error is not None:
            self._settlement.tell_exception(attempt, attempt.error)
        luck = random.random()  # noqa: S311 - spreads retries, guards no secret
        decision = decide(result, attempt.limits, attempt.facts(self._clock.time(), luck))
        self._must_recycle = attempt.recycle
        if decision is SUCCEEDED and not attempt.durable:
            self._settlement.succeed(attempt, duration)
        else:
            self._settle(attempt, decision, duration)

    def _settle(self, attempt: Attempt, decision: Decision, duration: float) -> None:
        """Settle now; what is done before goes first, so that outcomes keep their order."""
        self._confirm()
        self._settlement.settle(attempt, decision, duration, self._hear_failure)

    def _hear_failure(self, attempt: Attempt, error: BaseException) -> None:
        """Call the job's `failed` under a deadline of its own; raises what it raises."""
        self._number += 1
        limit = attempt.limits.timeout or HOOK_TIMEOUT
        self._shared.begin(self._number, self._clock.monotonic(), limit, 0, 0)
        self._is_quiet = True
        os.write(self._notices, b"!")
        try:
            self._attempts.hear_failure(attempt, error, self._number)
        finally:
            self._end_run()

    def _end_run(self) -> None:
        """Publish that nothing runs any more; a copy that middleware or `failed` forked ends."""
        if os.getpid() != self._pid:
            end_copy()
        self._shared.end()
