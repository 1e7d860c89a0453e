"""Where a run's outcome becomes true: the only place that acks, releases, fails, and then tells.

Longer than other files, so that there is no second place.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, TypeVar, cast

from onqueue import events
from onqueue.errors import BrokerUnavailable, LeaseLost
from onqueue.failed.describing import failed_job
from onqueue.worker.decision import SUCCEEDED, Done, Fail, Park, Release
from onqueue.worker.pauses import KnownPauses
from onqueue.worker.processes import end_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

    from onqueue.contracts import Clock, Consumer, JobId, ReservedJob, Turn
    from onqueue.job_context import Lifeline
    from onqueue.plans import ChainEdit, Ending
    from onqueue.quotas import Quota
    from onqueue.stores import FailedJob, FailedJobs, Outbox
    from onqueue.worker.counting import Counting
    from onqueue.worker.decision import Decision
    from onqueue.worker.recipes import Attempt

T = TypeVar("T")

log = logging.getLogger("onqueue.worker")

STORE_ATTEMPTS = 5
"""How often a store that raises is asked before the job goes back to its queue instead."""

POSTPONED = 30.0
"""Seconds until a job comes back whose outcome could not be written down."""

_FIRST_RETRY = 0.05
_LONGEST_RETRY = 2.0


class _StoreAway(Exception):
    """A store raised each time it was asked."""


class Settlement:
    """Settles the runs of one child process.

    Plain successes only join `done`: the next mark or turn carries them, and they are told when
    a turn has confirmed them. All other outcomes are one fenced call each, at once.
    """

    def __init__(
        self,
        *,
        connection: str,
        consumer: Consumer,
        failed: FailedJobs,
        outbox: Outbox | None,
        clock: Clock,
        lifeline: Lifeline,
        carry: Callable[[], object] | None = None,
        counting: Counting | None = None,
    ) -> None:
        """Know the stores that have a say; `carry` takes what waits for other connections there."""
        self._carry = carry
        self._counting = counting
        self._connection = connection
        self._consumer = consumer
        self._failed = failed
        self._outbox = outbox
        self._clock = clock
        self._lifeline = lifeline
        self._pid = os.getpid()
        self.done: list[JobId] = []
        self.unconfirmed: Sized = self.done
        """Holds something while successes wait for a turn."""
        self.is_doubtful = False
        """Whether jobs that were reserved should go back: a batch may be cancelled since, or others
        have a better right by now."""
        self._untold: dict[JobId, tuple[Attempt, float]] = {}
        self.pauses = KnownPauses(connection)

    # ---- what went well ----

    @property
    def owes_confirmation(self) -> bool:
        """Whether a success of this thread waits for a turn."""
        return bool(self.done)

    def turn(self, want: int, *, at_stake: bool = False) -> Turn:
        """Confirm what is done, tell about it, and return the next jobs; raises `LeaseLost`.

        Raises `BrokerUnavailable` when there is nothing to confirm, nothing else `at_stake`, and
        the worker is to stop. A copy of the process that a job forked unseen by Python makes no
        trip: it ends here.
        """
        if os.getpid() != self._pid:
            end_copy()
        at_stake = at_stake or bool(self.done)
        turn = self._insist(lambda: self._consumer.turn(want, self.done), at_stake=at_stake)
        if self.done:
            for job_id in turn.refused:
                log.warning("lease lost: job %s", job_id)
            self._tell_confirmed(turn.refused)
            self.done.clear()
        if turn.pauses is not self.pauses.known:
            self.pauses.learn(turn.pauses)
        if turn.transfers and self._carry is not None:
            self._carry_on()
        return turn

    def _carry_on(self) -> None:
        """Take along what waits for other connections; if the own broker is away, later."""
        try:
            if self._carry is not None:
                self._carry()
        except BrokerUnavailable as error:
            log.warning("what waits for other connections waits on: %s", error)

    def succeed(self, attempt: Attempt, duration: float) -> None:
        """Note a plain success, to be confirmed by the next turn."""
        job_id = attempt.reserved.id
        self.done.append(job_id)
        if events.job_processed.receivers or events.job_attempted.receivers:
            self._untold[job_id] = (attempt, duration)

    def give_back(self, ids: Sequence[JobId]) -> None:
        """Return jobs that were never started to the front of their queues."""
        self._insist(lambda: self._consumer.give_back(ids))

    def leave(self) -> None:
        """Give back what was set aside for jobs to come; without a broker it ends by itself."""
        try:
            self._consumer.leave()
        except BrokerUnavailable as error:
            log.warning("what was set aside for jobs to come lasts its time: %s", error)

    def verdict_of_batch(self, attempt: Attempt) -> Decision | None:
        """Return what becomes of a member unrun, None when it is to run."""
        counting, reserved = self._counting, attempt.reserved
        if counting is None:
            return None
        try:
            return self._of_store(lambda: counting.verdict(attempt))
        except _StoreAway:
            return Release("released", POSTPONED, reserved.attempts, reserved.exceptions)

    def free_claim_at_start(self, attempt: Attempt) -> None:
        """Let a job that is unique only until it runs give its lock back right before."""
        tie, reserved = attempt.envelope.tie, attempt.reserved
        if tie is None or tie.claim is None or not tie.claim.until_processing:
            return

        def starts() -> None:
            if not self._insist(lambda: self._consumer.processing(reserved)):
                raise LeaseLost(self._lifeline.holder, reserved.id)

        attempt.starts = starts

    def verdict_of_outbox(self, attempt: Attempt) -> Decision | None:
        """Return what becomes of a durable job unrun, None when it is to run.

        It ends when its row says that an earlier run succeeded. While the outbox is away nobody
        knows, and its outcome could not be written down either: it comes again later.
        """
        outbox, reserved = self._outbox, attempt.reserved
        if outbox is None:
            return None
        try:
            state = self._of_store(lambda: outbox.state(reserved.id))
        except _StoreAway:
            return Release("released", POSTPONED, reserved.attempts, reserved.exceptions)
        return SUCCEEDED if state == "done" else None

    # ---- everything else ----

    def settle(
        self,
        attempt: Attempt,
        decision: Decision,
        duration: float,
        hear_failure: Callable[[Attempt, BaseException], None],
    ) -> bool:
        """Make the decision true, then tell; False when the lease was lost and nothing changed.

        `hear_failure` calls the job's `failed`. A store that stays away postpones the job: it
        goes back, and nothing is told.
        """
        if os.getpid() != self._pid:
            end_copy()
        if not self._write_down(attempt, decision):
            return self._postpone(attempt, decision)
        context, tie = attempt.context, attempt.envelope.tie
        has_failed = isinstance(decision, Fail) and tie is not None and bool(tie.batch)
        if has_failed or (context is not None and context.has_cancelled):
            self.is_doubtful = True
        edit = context.edit if context is not None else None
        if not self._carry_out(attempt.reserved, decision, edit):
            self._tell_lost(attempt)
            return False
        if isinstance(decision, Done):
            self._forget_checkpoint(attempt)
        if isinstance(decision, Fail):
            try:
                hear_failure(attempt, decision.error)
            except BaseException as second:  # noqa: BLE001 - the job has failed all the same
                self.tell_exception(attempt, second)
        self._tell(attempt, decision, duration)
        return True

    def _forget_checkpoint(self, attempt: Attempt) -> None:
        """Drop where the job would go on; a broker that is away drops it later by itself."""
        context = attempt.context
        if context is not None and context.checkpoint is not None:
            try:
                context.checkpoint.drop()
            except BrokerUnavailable as error:
                log.warning("a checkpoint stays behind: %s", error)

    def _write_down(self, attempt: Attempt, decision: Decision) -> bool:
        """Write what must stand before the broker forgets the job; False when it could not be."""
        if isinstance(decision, Fail):
            record = self._record(attempt, decision)
            if not self._lifeline.holds_lease():
                raise LeaseLost(self._lifeline.holder, attempt.reserved.id)
            if not self._is_stored(lambda: self._failed.record(record)):
                return False
        return self._count(attempt, decision) and self._mark_outbox(attempt, decision)

    def _count(self, attempt: Attempt, decision: Decision) -> bool:
        counting = self._counting
        if counting is None or not isinstance(decision, Done | Fail):
            return True
        if attempt.is_counted and not self._lifeline.holds_lease():
            raise LeaseLost(self._lifeline.holder, attempt.reserved.id)
        edit = attempt.context.edit if attempt.context is not None else None
        return self._is_stored(lambda: counting.count(attempt, decision.outcome, edit))

    def _mark_outbox(self, attempt: Attempt, decision: Decision) -> bool:
        outbox, job_id = self._outbox, attempt.reserved.id
        if outbox is None or not attempt.durable or not isinstance(decision, Done | Fail):
            return True
        # The row ends a job for every worker: whoever slept past the lease must not write it.
        if not self._lifeline.holds_lease():
            raise LeaseLost(self._lifeline.holder, job_id)
        if isinstance(decision, Fail):
            return self._is_stored(lambda: outbox.mark_outcome(job_id, "failed"))
        return self._is_stored(lambda: outbox.mark_outcome(job_id, "done"))

    def _record(self, attempt: Attempt, decision: Fail) -> FailedJob:
        envelope, reserved = attempt.envelope, attempt.reserved
        return failed_job(
            decision.error,
            job_id=reserved.id,
            connection=self._connection,
            queue=reserved.queue,
            job=envelope.job,
            payload=reserved.payload,
            attempts=decision.attempts,
            failed_at=self._clock.now(),
            context=envelope.context,
        )

    def _is_stored(self, store: Callable[[], object]) -> bool:
        """Have a store write something down; False when it could not."""
        try:
            self._of_store(store)
        except _StoreAway:
            return False
        return True

    def _of_store(self, ask: Callable[[], T]) -> T:
        """Ask a store a few times and return its answer; raises when it raised each time."""
        for turn in range(STORE_ATTEMPTS):
            try:
                return ask()
            except Exception:
                log.exception("a store of outcomes is away")
                if turn + 1 < STORE_ATTEMPTS:
                    self._clock.sleep(_FIRST_RETRY * 2**turn)
        raise _StoreAway

    def _postpone(self, attempt: Attempt, decision: Decision) -> bool:
        """Give the job back because a store is away. Only a failed run has spent its attempt."""
        reserved = attempt.reserved
        spent = decision.attempts if isinstance(decision, Fail) else reserved.attempts
        release = Release("released", POSTPONED, spent, reserved.exceptions)
        return self._carry_out(reserved, release)

    def _carry_out(
        self, reserved: ReservedJob, decision: Decision, edit: ChainEdit | None = None
    ) -> bool:
        consumer = self._consumer
        match decision:
            case Done(outcome):
                ending = cast("Ending", outcome)
                return self._insist(lambda: consumer.ack(reserved, ending, edit))
            case Fail():
                return self._insist(lambda: consumer.fail(reserved))
            case Release(delay=delay, attempts=attempts, exceptions=exceptions, deaths=deaths):
                return self._insist(
                    lambda: consumer.release(
                        reserved, delay, attempts=attempts, exceptions=exceptions, deaths=deaths
                    )
                )
            case Park(lock, quotas=quotas):
                return self._insist(lambda: self._park(reserved, lock, quotas))

    def _park(self, reserved: ReservedJob, lock: str, quotas: Sequence[Quota]) -> bool:
        """Let the job wait; when its lock is free by now, it goes round once more."""
        if quotas:
            self._consumer.wait_turn(reserved, quotas)
            return True
        if self._consumer.park(reserved, lock):
            return True
        spent, exceptions = reserved.attempts, reserved.exceptions
        return self._consumer.release(reserved, 0.0, attempts=spent, exceptions=exceptions)

    def mark(self, started: JobId) -> None:
        """Write down that the last success is done and this job starts."""
        done = self.done[-1] if self.done else None
        try:
            should_return = self._consumer.mark(done, started)
        except BrokerUnavailable:
            should_return = self._insist(lambda: self._consumer.mark(done, started))
        if should_return:
            self.is_doubtful = True

    def _insist(self, call: Callable[[], T], *, at_stake: bool = True) -> T:
        """Repeat a call to the broker while it is away, as long as the lease can be trusted.

        Raises `LeaseLost` then: whatever the call did, it no longer counts. With nothing at
        stake, a worker that is to stop gives up at once: `BrokerUnavailable`.
        """
        delay = _FIRST_RETRY
        while True:
            try:
                return call()
            except BrokerUnavailable as error:
                if not self._lifeline.holds_lease():
                    holder = self._lifeline.holder
                    told = "broker away until the lease of holder %s could not be trusted: %s"
                    log.error(told, holder, error)  # noqa: TRY400 - a trace tells no more
                    raise LeaseLost(holder) from None
                if not at_stake and self._lifeline.should_stop():
                    raise
                self._clock.sleep(delay)
                delay = min(_LONGEST_RETRY, delay * 2)

    # ---- telling ----

    def tell_processing(self, attempt: Attempt) -> None:
        """Tell that the run starts."""
        event = events.JobProcessing(*self._run_of(attempt), options=attempt.envelope.options)
        events.tell(events.job_processing, event)

    def tell_exception(self, attempt: Attempt, error: BaseException) -> None:
        """Tell that the run raised, before anything is decided about it."""
        name, job_id = attempt.envelope.display_name, attempt.reserved.id
        log.warning("job %r raised, id %s", name, job_id, exc_info=error)
        if events.job_exception_occurred.receivers:
            event = events.JobExceptionOccurred(
                *self._run_of(attempt), error, options=attempt.envelope.options
            )
            events.tell(events.job_exception_occurred, event)

    def _run_of(self, attempt: Attempt) -> tuple[str, str, str, str, int, dict[str, str]]:
        reserved, envelope = attempt.reserved, attempt.envelope
        spent = reserved.attempts + (attempt.verdict is None)
        return (
            self._connection,
            reserved.queue,
            reserved.id,
            envelope.job,
            spent,
            envelope.context,
        )

    def _tell_confirmed(self, refused: Sequence[JobId]) -> None:
        untold, self._untold = self._untold, {}
        for job_id, (attempt, duration) in untold.items():
            if job_id in refused:
                self._tell_lost(attempt)
            else:
                self._tell(attempt, Done(), duration)

    def _tell_lost(self, attempt: Attempt) -> None:
        log.warning("lease lost: job %s", attempt.reserved.id)
        if events.job_lease_lost.receivers:
            event = events.JobLeaseLost(*self._run_of(attempt), options=attempt.envelope.options)
            events.tell(events.job_lease_lost, event)

    def _tell(self, attempt: Attempt, decision: Decision, duration: float) -> None:
        """Tell the one end of the run, and then that it is over."""
        run, options = self._run_of(attempt), attempt.envelope.options
        timed_out = isinstance(decision, Release | Fail) and decision.timed_out
        if timed_out and events.job_timed_out.receivers:
            timeout = attempt.limits.timeout
            events.tell(events.job_timed_out, events.JobTimedOut(*run, timeout, options=options))
        error: BaseException | None = None
        match decision:
            case Done(outcome):
                if events.job_processed.receivers:
                    processed = events.JobProcessed(*run, outcome, duration, options=options)
                    events.tell(events.job_processed, processed)
            case Fail(error):
                events.tell(events.job_failed, events.JobFailed(*run, error, options=options))
            case Release(outcome, delay, _, _, error):
                if events.job_released.receivers:
                    released = events.JobReleased(*run, outcome, delay, error, options=options)
                    events.tell(events.job_released, released)
            case Park():
                if events.job_released.receivers:
                    released = events.JobReleased(*run, "parked", 0.0, None, options=options)
                    events.tell(events.job_released, released)
        if events.job_attempted.receivers:
            over = events.JobAttempted(*run, decision.outcome, duration, error, options=options)
            events.tell(events.job_attempted, over)
