"""The parent of a worker: renews the lease, keeps the deadlines, starts and buries children.

It runs no code of jobs, so nothing a job does can keep it from its duties.
"""

from __future__ import annotations

import logging
import os
import select
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from onqueue.contracts import Burial
from onqueue.errors import BrokerError, BrokerUnavailable
from onqueue.worker.deadlines import GRACE, LONG_RUN, Deadlines, Due
from onqueue.worker.processes import has_ended
from onqueue.worker.shared import Cut, Exit, Phase
from onqueue.worker.unix_signals import LOOK

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.contracts import Clock, JobId, Leases
    from onqueue.worker.shared import Running, Shared
    from onqueue.worker.unix_signals import ParentSignals

log = logging.getLogger("onqueue.worker")

TRUST: Final = 0.9
"""The share of a lease after which a worker that could not renew it stops by itself."""

STALL: Final = 60.0
"""Seconds without any progress between two jobs after which a child is replaced."""

_FIRST_RETRY: Final = 0.05
_LONGEST_RETRY: Final = 2.0


@dataclass(slots=True)
class Child:
    """One child process as its parent knows it; instants are monotonic."""

    pid: int
    holder: str
    shared: Shared
    notices: int
    started: float
    deadlines: Deadlines = field(default_factory=Deadlines)
    killed: Burial | None = None
    overran: Running | None = None
    exit_code: int | None = None
    told_to_stop: bool = False
    cut_at: float = 0.0
    owed: list[JobId] = field(default_factory=list)

    def ended(self) -> bool:
        """Tell whether the process is gone."""
        if self.exit_code is None:
            self.exit_code = has_ended(self.pid)
        return self.exit_code is not None

    def look(self) -> None:
        """Make the child look at the shared memory."""
        if not self.ended():
            os.kill(self.pid, LOOK)

    def kill(self, cause: Burial) -> None:
        """Kill the child, once; the first cause counts."""
        if self.killed is None and not self.ended():
            self.killed = cause
            os.kill(self.pid, signal.SIGKILL)


class Wishes(Protocol):
    """What the surroundings want of the worker, asked at every renewal."""

    def refresh(self) -> None:
        """Ask again; may raise `BrokerUnavailable`."""
        ...

    @property
    def wants_stop(self) -> bool:
        """Whether the worker is to end after the running job."""
        ...


class Keeper:
    """Keeps one child alive and honest until it is gone."""

    def __init__(
        self,
        leases: Leases,
        clock: Clock,
        signals: ParentSignals,
        wishes: Wishes,
        *,
        lease: float,
        may_run_until: float | None = None,
    ) -> None:
        """Know the lease in seconds and the monotonic instant at which the worker's time ends."""
        self._leases = leases
        self._clock = clock
        self._signals = signals
        self._wishes = wishes
        self._lease = lease
        self._may_run_until = may_run_until
        self._next_renewal = 0.0
        self._next_reap = 0.0
        self._failures = 0
        self._progress: tuple[int, int] = (0, 0)
        self._progress_at = 0.0

    def watch(self, child: Child) -> None:
        """Return when the child is gone; all its parent's duties are done until then."""
        self._next_renewal = self._clock.monotonic() + self._lease / 3
        self._progress_at = child.started
        poller = select.poll()
        poller.register(self._signals.wakeup, select.POLLIN)
        poller.register(child.notices, select.POLLIN)
        while not child.ended():
            if child.killed is not None:
                poller.poll(1000)
                self._signals.wakeup.drain()
                continue
            self._pass_on_wishes(child)
            self._keep_deadline(child)
            self._renew(child)
            self._reap()
            self._recall(child)
            self._notice_stall(child)
            if child.ended():
                return
            poller.poll(self._next_duty(child) * 1000)
            self._signals.wakeup.drain()
            _drain(child.notices)

    # ---- wishes ----

    def _pass_on_wishes(self, child: Child) -> None:
        """Tell the child to stop or to pause; cut its job short at the second asking."""
        paused = self._signals.paused
        if paused != child.shared.should_pause:
            child.shared.ask_to_pause(paused=paused)
            child.look()
        if not child.told_to_stop and self._wants_stop():
            child.told_to_stop = True
            child.shared.ask_to_stop()
            child.look()
        if self._signals.stops >= 2:
            self._cut_short(child)

    def _wants_stop(self) -> bool:
        out_of_time = (
            self._may_run_until is not None and self._clock.monotonic() >= self._may_run_until
        )
        return self._signals.stops > 0 or self._wishes.wants_stop or out_of_time

    def _cut_short(self, child: Child) -> None:
        now = self._clock.monotonic()
        running = child.shared.running()
        if running is not None and child.shared.wanted_cut[0] != running.number:
            child.shared.cut(running.number, Cut.INTERRUPT)
            child.look()
        child.cut_at = child.cut_at or now
        if now >= child.cut_at + GRACE or self._signals.stops >= 3:
            child.kill(Burial("exit"))

    # ---- deadlines ----

    def _keep_deadline(self, child: Child) -> None:
        running = child.shared.running()
        match child.deadlines.due(running, self._clock.monotonic()):
            case Due.SOFT if running is not None:
                child.shared.cut(running.number, Cut.TIMEOUT)
                child.look()
            case Due.HARD:
                child.overran = running
                child.kill(Burial("timeout"))
            case _:
                return

    def _notice_stall(self, child: Child) -> None:
        now, progress = self._clock.monotonic(), child.shared.progress
        busy = child.shared.phase != Phase.WAITING and not child.shared.number
        if progress != self._progress or not busy:
            self._progress, self._progress_at = progress, now
        elif now - self._progress_at > STALL:
            log.error("child %d made no progress for %g s", child.pid, STALL)
            child.kill(Burial("lapsed"))

    # ---- the lease ----

    def _renew(self, child: Child) -> None:
        sent = self._clock.monotonic()
        if sent >= self._next_renewal:
            try:
                self._vouch(child, sent)
            except BrokerUnavailable as error:
                self._next_renewal = sent + self._retry_delay(error)
        if self._clock.monotonic() >= child.shared.vouched_until:
            log.error("lease of holder %s not renewed in time", child.holder)
            child.kill(Burial("lapsed"))

    def _vouch(self, child: Child, sent: float) -> None:
        lease = self._leases.renew(child.holder)
        if lease is None:
            log.warning("lease lost: holder %s", child.holder)
            child.kill(Burial("lapsed"))
            return
        child.shared.vouch(sent + lease * TRUST)
        self._failures = 0
        self._next_renewal = sent + lease / 3
        self._wishes.refresh()

    def _reap(self) -> None:
        now = self._clock.monotonic()
        if now < self._next_reap:
            return
        try:
            reaped, due = self._leases.reap()
        except BrokerUnavailable as error:
            self._next_reap = now + self._retry_delay(error)
            return
        if reaped:
            log.warning("jobs of %d dead holders taken back", reaped)
        self._next_reap = now + min(self._lease, max(due or self._lease, 0.01))

    def _retry_delay(self, error: BrokerError) -> float:
        self._failures += 1
        if self._failures == 1:
            log.warning("broker away: %s", error)
        longest = min(_LONGEST_RETRY, self._lease / 6)
        return min(longest, _FIRST_RETRY * 2.0 ** min(self._failures, 10))

    # ---- what waits behind a long job ----

    def _recall(self, child: Child) -> None:
        """Give back what the child holds unstarted behind a long job, so that others may run it.

        The lock keeps the child from starting any of it meanwhile. What could not be told to
        the broker stays owed: the child will not start it any more.
        """
        shared, running = child.shared, child.shared.running()
        is_long = running is not None and self._clock.monotonic() - running.started >= LONG_RUN
        if not child.owed and not (is_long and shared.unstarted):
            return
        if not shared.lock.acquire(block=False):
            return
        try:
            if is_long:
                child.owed += shared.recall()
            self._give_back(child)
        finally:
            shared.lock.release()

    def _give_back(self, child: Child) -> None:
        if child.owed:
            try:
                self._leases.give_back(child.holder, child.owed)
            except BrokerUnavailable as error:
                self._next_renewal = self._clock.monotonic() + self._retry_delay(error)
                return
            child.owed.clear()

    # ---- when to look again ----

    def _next_duty(self, child: Child) -> float:
        """Return the seconds until something must be looked at, if nothing is heard before."""
        now, shared = self._clock.monotonic(), child.shared
        instants = [self._next_renewal, self._next_reap, shared.vouched_until]
        if self._may_run_until is not None and not child.told_to_stop:
            instants.append(self._may_run_until)
        if child.cut_at:
            instants.append(child.cut_at + GRACE)
        if shared.phase == Phase.WORKING:
            look = child.deadlines.next_look(shared.running(), now)
            if look is not None:
                instants.append(now + look)
        return max(0.0, min(instants) - now) + 0.0005


def burial_of(child: Child, verdict: Callable[[Running], Burial]) -> Burial:
    """Return why a child that is gone ended, and what its running job is owed.

    `verdict` says what becomes of a job that ran too long. If another job had begun by the time
    the kill arrived, that one is innocent and keeps its attempt.
    """
    cause = _BURIALS.get(child.shared.exit) or child.killed
    if cause is None:
        return Burial("death")
    if cause.kind != "timeout" or child.overran is None:
        return cause
    last = child.shared.running()
    if last is not None and last.number != child.overran.number:
        return Burial("exit")
    return verdict(child.overran)


_BURIALS = {
    Exit.STOPPED: Burial("exit"),
    Exit.RECYCLED: Burial("exit"),
    Exit.LEASE_LOST: Burial("lapsed"),
    Exit.FAULT: Burial("death"),
}


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            continue
    except BlockingIOError:
        return
