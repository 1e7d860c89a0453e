"""A worker as a whole: one child after the other, until there is a reason to stop."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from onqueue import events
from onqueue.contracts import Guilt, ReservedJob
from onqueue.errors import BrokerUnavailable, OnQueueError
from onqueue.payload import decode
from onqueue.worker.child import fork_child
from onqueue.worker.decision import Facts, Fail, after_memory, after_timeout
from onqueue.worker.errand import Errand
from onqueue.worker.parent import TRUST, Keeper
from onqueue.worker.recipes import limits_of
from onqueue.worker.shared import Exit, Shared
from onqueue.worker.stopping import Situation, StopReason, stop_reason
from onqueue.worker.unix_signals import ParentSignals
from onqueue.worker.watched import Child, burial_of, is_unclear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from onqueue.connections import QueueManager
    from onqueue.contracts import JobId, Leases, WorkableQueue
    from onqueue.worker.options import WorkerOptions
    from onqueue.worker.shared import Running

T = TypeVar("T")

log = logging.getLogger("onqueue.worker")

_LONGEST_PAUSE = 5.0
_LONGEST_RETRY = 2.0
_MOST_SPARED = 1_000


@runtime_checkable
class RestartableQueue(Protocol):
    """A connection that can tell its workers to start anew."""

    def restart_requested_at(self) -> float:
        """Return when a restart was last asked for, in epoch seconds; 0 for never."""
        ...


class RestartWish:
    """Whether a restart was asked for since the worker began; any other value than then counts."""

    def __init__(self, queue: object) -> None:
        """Remember nothing until the first look; a connection without restarts never has one."""
        self._queue = queue if isinstance(queue, RestartableQueue) else None
        self._at_start: float | None = None
        self.wants_stop = False

    def refresh(self) -> None:
        """Look; may raise `BrokerUnavailable`."""
        if self._queue is None:
            return
        now = self._queue.restart_requested_at()
        if self._at_start is None:
            self._at_start = now
        self.wants_stop = now != self._at_start


class Worker:
    """Serves the queues of one connection; belongs in the main thread of a process."""

    def __init__(self, manager: QueueManager, options: WorkerOptions) -> None:
        """Raise when the connection is unknown or cannot be worked on."""
        self._manager = manager
        self._options = options
        self._queue: WorkableQueue = manager.workable(options.connection)
        self._clock = manager.clock
        self._name = self._queue.name
        self._queues = options.queues or (self._queue.config.queue,)
        self._jobs = 0
        self._deaths_in_a_row = 0
        self._broker_lost = False
        self._doomed: tuple[JobId, ...] = ()
        self._suspects = 0  # jobs of which one killed its process: run one at a time
        self._spared: dict[JobId, None] = {}  # those that have not paid for it, the oldest first

    def run(self) -> StopReason:
        """Work until there is a reason to stop.

        Raises `BrokerMisconfigured` or `RetryAfterTooShort` before anything is started.
        """
        self._manager.check_timeout(self._name, "the worker", self._options.timeout)
        self._started = self._clock.monotonic()
        with ParentSignals() as signals:
            self._signals = signals
            self._wishes = RestartWish(self._queue)
            self._leases: Leases = self._queue.leases()
            try:
                reason = self._serve()
            finally:
                self._leases.close()
        stopping = events.WorkerStopping(
            self._name, self._queues, os.getpid(), reason.value, reason.exit_code
        )
        events.tell(events.worker_stopping, stopping)
        return reason

    def _serve(self) -> StopReason:
        """Start child after child; jobs doomed by the last of them are settled before the end."""
        if self._reach(self._check) is None:
            return self._reason_to_stop() or StopReason.INTERRUPTED
        while True:
            reason = self._serve_with_one_child()
            if reason is None:
                reason = self._pause_after_deaths()
            elif self._doomed:
                self._serve_with_one_child(only=self._doomed)
            if reason is not None:
                return reason

    def _check(self) -> bool:
        self._queue.check()
        self._wishes.refresh()
        return True

    # ---- one child ----

    def _serve_with_one_child(self, only: tuple[JobId, ...] = ()) -> StopReason | None:
        """Let a child work until it is gone, bury it; return the reason to stop, if there is."""
        self._doomed = ()
        child = self._start_child(only)
        if child is None:
            return self._reason_to_stop()
        limit = self._options.max_time
        keeper = Keeper(
            self._leases,
            self._clock,
            self._signals,
            self._wishes,
            lease=self._queue.config.lease,
            may_run_until=self._started + limit if limit else None,
        )
        keeper.watch(child)
        self._count(child)
        self._bury(child)
        return self._reason_to_stop(child)

    def _start_child(self, only: tuple[JobId, ...]) -> Child | None:
        """Return a child under a new holder; None when there cannot be one now."""
        sent = self._clock.monotonic()
        holder = self._reach(self._leases.open)
        if holder is None:
            return None
        suspects = self._suspects
        options = replace(self._options, concurrency=1) if suspects or only else self._options
        runners = options.concurrency
        shared = Shared(self._queue.config.max_prefetch, runners)
        shared.vouch(sent + self._queue.config.lease * TRUST)
        errand = Errand(
            self._name,
            self._queues,
            holder,
            options,
            self._started,
            jobs_before=self._jobs,
            only=only,
            most=suspects,
        )
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        try:
            pid = fork_child(self._manager, errand, shared, writer)
        except OSError as error:
            log.warning("no child could be started: %s", error)
            os.close(reader)
            self._deaths_in_a_row += 1
            return None
        finally:
            os.close(writer)
        return Child(pid, holder, shared, reader, self._clock.monotonic())

    def _count(self, child: Child) -> None:
        """Count the jobs of a child, those it died in too, and deaths without any job between."""
        os.close(child.notices)
        died_in = sum(slot.number > 0 for slot in child.shared.slots)
        self._jobs += child.shared.finished + died_in
        in_order = child.shared.exit in (Exit.STOPPED, Exit.RECYCLED)
        if in_order or child.shared.finished:
            self._deaths_in_a_row = 0
        if not in_order:
            self._deaths_in_a_row += 1
            log.warning(
                "child %d ended with %s, holder %s", child.pid, child.exit_code, child.holder
            )

    def _bury(self, child: Child) -> None:
        """Give back what the child held; as long as the broker is away its lease runs out."""
        # A suspect that kills its process alone stays one, and so do those that come after it.
        self._suspects = max(0, self._suspects - child.shared.finished)
        burial = self._reach(
            lambda: burial_of(child, lambda job: self._verdict(job, child), self._spared)
        )
        if burial is None:
            return
        in_flight = self._reach(lambda: self._leases.bury(child.holder, burial)) or []
        if is_unclear(child):
            ran = [running.job_id for running in child.shared.running()]
            self._suspect([*ran, *(reserved.id for reserved in in_flight)])
            return
        fates = {guilt.job_id: guilt for guilt in burial.guilty}
        overran = {running.job_id: running for running in child.overran}
        for reserved in in_flight:
            timed_out = not child.outgrew and reserved.id not in child.cancelled
            if timed_out and reserved.id in fates:
                self._tell_timeout(reserved, overran[reserved.id])
        self._doomed = tuple(
            reserved.id
            for reserved in in_flight
            if reserved.id in fates and fates[reserved.id].doom
        )

    def _suspect(self, ids: Iterable[JobId]) -> None:
        """Have these jobs run one at a time next, and let the next such death cost them."""
        suspects = dict.fromkeys(ids)
        self._suspects = len(suspects)
        self._spared.update(suspects)
        while len(self._spared) > _MOST_SPARED:
            del self._spared[next(iter(self._spared))]

    def _verdict(self, overran: Running, child: Child) -> Guilt:
        """Return what becomes of a job whose process had to be killed for its sake."""
        job_id = overran.job_id
        if job_id in child.cancelled:
            return Guilt(job_id, doom="cancelled")
        payload = self._leases.payload(job_id)
        if payload is None:
            return Guilt(job_id)
        why = "memory" if child.outgrew else "timeout"
        try:
            envelope = decode(payload)
        except OnQueueError:
            return Guilt(job_id, doom=why)
        limits = limits_of(envelope.options, self._options)
        facts = Facts(envelope.job, overran.attempts, overran.exceptions, self._clock.time())
        decision = (after_memory if child.outgrew else after_timeout)(limits, facts)
        if isinstance(decision, Fail):
            return Guilt(job_id, doom=why)
        return Guilt(job_id, delay=decision.delay)

    def _tell_timeout(self, reserved: ReservedJob, overran: Running) -> None:
        log.error("job %r killed for its timeout", reserved.id)
        if not events.job_timed_out.receivers:
            return
        envelope = decode(reserved.payload)
        event = events.JobTimedOut(
            self._name,
            reserved.queue,
            reserved.id,
            envelope.job,
            overran.attempts + 1,
            envelope.context,
            overran.timeout,
            options=envelope.options,
        )
        events.tell(events.job_timed_out, event)

    # ---- between children ----

    def _reason_to_stop(self, child: Child | None = None) -> StopReason | None:
        """Return the worker's reason, or the child's where that one wins."""
        now = Situation(
            broker_lost=self._broker_lost,
            interrupted=self._signals.stops > 0,
            restart_requested=self._wishes.wants_stop,
            running_for=self._clock.monotonic() - self._started,
            jobs=self._jobs,
        )
        reason = stop_reason(self._options, now)
        order = list(StopReason)
        if child is None or child.shared.exit is not Exit.STOPPED:
            return reason
        own = order[child.shared.reason]
        return own if reason is None else min(own, reason, key=order.index)

    def _pause_after_deaths(self) -> StopReason | None:
        """Wait longer with each child that died without having ended a job, so as not to spin."""
        if self._deaths_in_a_row > 1:
            self._sleep(min(_LONGEST_PAUSE, 0.1 * 2.0 ** min(self._deaths_in_a_row - 2, 10)))
        return self._reason_to_stop()

    def _reach(self, call: Callable[[], T]) -> T | None:
        """Repeat a call until the broker answers; None when the worker is to stop instead."""
        delay = 0.05
        while True:
            try:
                answer = call()
            except BrokerUnavailable as error:
                log.warning("broker away: %s", error)
                self._broker_lost = True
                if self._reason_to_stop() is not None:
                    return None
                self._sleep(delay)
                delay = min(_LONGEST_RETRY, delay * 2)
            else:
                self._broker_lost = False
                return answer

    def _sleep(self, seconds: float) -> None:
        """Sleep in slices, so that a signal is noticed soon."""
        until = self._clock.monotonic() + seconds
        while self._signals.stops == 0 and (left := until - self._clock.monotonic()) > 0:
            self._clock.sleep(min(left, 0.1))
