"""One runner of a child: takes a reserved job through its run to an outcome, in its own slot."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from onqueue import events
from onqueue.errors import LeaseLost
from onqueue.worker.attempt import RETURNED
from onqueue.worker.deadlines import LONG_RUN, LOOK
from onqueue.worker.decision import SUCCEEDED, decide
from onqueue.worker.prefetch import SLOW
from onqueue.worker.processes import end_copy, forks, resident_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onqueue.contracts import Clock, ReservedJob
    from onqueue.worker.attempt import Attempts
    from onqueue.worker.decision import Decision, Result
    from onqueue.worker.recipes import Attempt
    from onqueue.worker.settlement import Settlement
    from onqueue.worker.shared import Shared, Slot

HOOK_TIMEOUT = 60.0
"""Seconds that `failed` may take where the job itself has no timeout."""


class Runner:
    """Runs one job at a time under the parent's eyes."""

    def __init__(
        self,
        *,
        holder: str,
        slot: Slot,
        shared: Shared,
        clock: Clock,
        attempts: Attempts,
        settlement: Settlement,
        numbers: Iterator[int],
        notices: int,
        slow: float = SLOW,
    ) -> None:
        """`numbers` are the child's, so that none tells two runs; `notices` wakes its parent.

        What is done is confirmed before a job that takes more than `slow` seconds.
        """
        self._holder = holder
        self.slot = slot
        self._shared = shared
        self._clock = clock
        self._attempts = attempts
        self._settlement = settlement
        self._numbers = numbers
        self._notices = notices
        self._slow = slow
        self._forks = forks.count
        self.is_quiet = True
        """Whether the parent may look away, as it does when this runner waits or runs for long."""
        self.must_recycle = False
        self._is_bounded = False
        """Whether the process is not to be trusted with another job."""

    def run_one(self, reserved: ReservedJob, started: float) -> float:
        """Run one job to its outcome and return the monotonic instant of its end."""
        attempt = self._attempts.prepare(reserved)
        settlement, recipe = self._settlement, attempt.recipe
        options, tie = attempt.envelope.options, attempt.envelope.tie
        has_more = options or settlement.pauses.waiting or (tie is not None and tie.batch)
        if has_more and attempt.verdict is None:
            attempt.verdict = self._verdict(attempt)
        if recipe is None or attempt.verdict is not None:
            self._settle(attempt, attempt.verdict or SUCCEEDED, 0.0)
            return self._clock.monotonic()
        if started >= self._shared.vouched_until:
            raise LeaseLost(self._holder, reserved.id)
        if tie is not None and tie.claim is not None:
            settlement.free_claim_at_start(attempt)
        if recipe.expected > self._slow and settlement.owes_confirmation:
            settlement.turn(0, at_stake=True)
        settlement.mark(reserved.id)
        if events.job_processing.receivers:
            settlement.tell_processing(attempt)
        result = self._run(attempt, started)
        ended = self._clock.monotonic()
        duration = ended - started
        recipe.learn(duration)
        if duration >= LONG_RUN:
            self.is_quiet = True
        if result is RETURNED and attempt.ends_plainly and attempt.error is None:
            settlement.succeed(attempt, duration)
            return ended
        self._conclude(attempt, result, duration)
        return self._clock.monotonic()

    def _verdict(self, attempt: Attempt) -> Decision | None:
        """Return what becomes of a job unrun for what stands outside of it, None when it runs."""
        settlement = self._settlement
        verdict: Decision | None = None
        if attempt.durable:
            verdict = settlement.verdict_of_outbox(attempt)
        if verdict is None and settlement.pauses.waiting:
            verdict = settlement.pauses.verdict(attempt)
        tie = attempt.envelope.tie
        if verdict is None and tie is not None and tie.batch:
            verdict = settlement.verdict_of_batch(attempt)
        return verdict

    def _run(self, attempt: Attempt, started: float) -> Result:
        """Run under the parent's eyes; it is told when it may have looked away for long."""
        reserved = attempt.reserved
        number, limits = next(self._numbers), attempt.limits
        if limits.is_bounded or self._is_bounded:
            self._is_bounded = limits.is_bounded
            self.slot.bound(limits.patience, limits.memory)
        self.slot.begin(
            number,
            reserved.id,
            started,
            limits.timeout,
            reserved.attempts,
            reserved.exceptions,
        )
        if self.is_quiet:
            self.is_quiet = False
            if self._shared.next_look > started + LOOK:
                os.write(self._notices, b"!")
        try:
            return self._attempts.run(attempt, number)
        finally:
            self._end_run()
            if limits.is_bounded and 0 < limits.memory <= resident_memory():
                self.must_recycle = True

    def _conclude(self, attempt: Attempt, result: Result, duration: float) -> None:
        """Decide and settle every end but a plain success."""
        if attempt.error is not None:
            self._settlement.tell_exception(attempt, attempt.error)
        luck = random.random()  # noqa: S311 - spreads retries, guards no secret
        decision = decide(result, attempt.limits, attempt.facts(self._clock.time(), luck))
        self.must_recycle = self.must_recycle or attempt.recycle
        if decision is SUCCEEDED and attempt.ends_plainly:
            self._settlement.succeed(attempt, duration)
        else:
            self._settle(attempt, decision, duration)

    def _settle(self, attempt: Attempt, decision: Decision, duration: float) -> None:
        """Settle now; what is done before goes first, so that outcomes keep their order."""
        if self._settlement.unconfirmed:
            # Another thread's trip may take it before this one does; this job's outcome is left.
            self._settlement.turn(0, at_stake=True)
        self._settlement.settle(attempt, decision, duration, self._hear_failure)

    def _hear_failure(self, attempt: Attempt, error: BaseException) -> None:
        """Call the job's `failed` under a deadline of its own; raises what it raises."""
        number = next(self._numbers)
        limit = attempt.limits.timeout or HOOK_TIMEOUT
        if self._is_bounded:
            self._is_bounded = False
            self.slot.bound(None, 0.0)
        self.slot.begin(number, attempt.reserved.id, self._clock.monotonic(), limit, 0, 0)
        self.is_quiet = True
        os.write(self._notices, b"!")
        try:
            self._attempts.hear_failure(attempt, error, number)
        finally:
            self._end_run()

    def _end_run(self) -> None:
        """Publish that nothing runs any more; a copy that middleware or `failed` forked ends."""
        if forks.count != self._forks:
            end_copy()
        self.slot.end()
