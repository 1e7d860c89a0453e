"""The parent of a worker: renews the lease, keeps the deadlines, starts and buries children.

It runs no code of jobs, so nothing a job does can keep it from its duties.
"""

from __future__ import annotations

import logging
import os
import select
import signal
from typing import TYPE_CHECKING, Final, Protocol

from onqueue.contracts import Burial
from onqueue.errors import BrokerError, BrokerUnavailable
from onqueue.worker.bounds import Bounds
from onqueue.worker.cancelling import Cancelling
from onqueue.worker.deadlines import GRACE, LONG_RUN, Due
from onqueue.worker.shared import Cut, Phase

if TYPE_CHECKING:
    from onqueue.contracts import Clock, Leases
    from onqueue.worker.unix_signals import ParentSignals
    from onqueue.worker.watched import Child

log = logging.getLogger("onqueue.worker")

TRUST: Final = 0.9
"""The share of a lease after which a worker that could not renew it stops by itself."""

STALL: Final = 60.0
"""Seconds without any progress between two jobs after which a child is replaced."""

_FIRST_RETRY: Final = 0.05
_LONGEST_RETRY: Final = 2.0


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

    def watch(self, child: Child) -> None:
        """Return when the child is gone; all its parent's duties are done until then."""
        self._next_renewal = self._clock.monotonic() + self._lease / 3
        poller = select.poll()
        poller.register(self._signals.wakeup, select.POLLIN)
        poller.register(child.notices, select.POLLIN)
        cancelling = Cancelling(self._leases.orders(child.holder), self._clock)
        try:
            self._watch(child, poller, cancelling)
        finally:
            cancelling.close()

    def _watch(self, child: Child, poller: select.poll, cancelling: Cancelling) -> None:
        bounds = Bounds(self._clock)
        while not child.ended():
            if child.killed is not None:
                poller.poll(1000)
                self._signals.wakeup.drain()
                continue
            child.shared.look_next(float("inf"))
            self._pass_on_wishes(child)
            self._keep_deadlines(child)
            self._renew(child)
            self._reap()
            self._recall(child, cancelling)
            self._notice_stall(child)
            bounds.keep(child)
            cancelling.keep(child)
            if child.ended():
                return
            cancelling.watch(poller)
            pause = self._next_duty(child, cancelling.next_look(), bounds.next_look(child))
            child.shared.look_next(self._clock.monotonic() + pause)
            ready = poller.poll(pause * 1000)
            cancelling.heed(poller, ready, child)
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
            child.shared.ask_to_stop(self._signals.last or signal.SIGTERM)
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
        for slot in child.shared.slots:
            number = slot.number
            if number and slot.wanted_cut[0] != number:
                slot.cut(number, Cut.INTERRUPT)
                child.look()
        child.cut_at = child.cut_at or now
        if now >= child.cut_at + GRACE or self._signals.stops >= 3:
            child.kill(Burial("exit"))

    # ---- deadlines ----

    def _keep_deadlines(self, child: Child) -> None:
        """Tell jobs that are past their timeout; when one does not heed it, kill its process.

        All that were told pay then: they ran too long, too.
        """
        now, told, is_deaf = self._clock.monotonic(), [], False
        for watch in child.watches:
            running = watch.slot.running()
            due = watch.deadlines.due(running, now)
            if running is None:
                continue
            if due is Due.SOFT:
                watch.slot.cut(running.number, Cut.TIMEOUT)
                child.look()
            if watch.deadlines.was_told(running):
                told.append(running)
            is_deaf = is_deaf or due is Due.HARD
        if is_deaf:
            child.overran = told
            child.kill(Burial("timeout"))

    def _notice_stall(self, child: Child) -> None:
        now, finished = self._clock.monotonic(), child.shared.finished
        for watch in child.watches:
            slot, progress = watch.slot, (watch.slot.progress, finished)
            busy = slot.phase != Phase.WAITING and not slot.number
            if progress != watch.progress or not busy:
                watch.progress, watch.progress_at = progress, now
            elif now - watch.progress_at > STALL:
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

    def _recall(self, child: Child, cancelling: Cancelling) -> None:
        """Give back what the child holds unstarted behind long jobs, so that others may run it.

        The lock keeps the child from starting any of it meanwhile. What could not be told to
        the broker stays owed: the child will not start it any more.
        """
        shared = child.shared
        is_long = shared.unstarted and (cancelling.wants_recall or self._is_taken_up(child))
        if not child.owed and not is_long:
            cancelling.wants_recall = False
            return
        if not shared.lock.acquire(block=False):
            return
        try:
            if is_long:
                child.owed += shared.recall()
                cancelling.wants_recall = False
            self._give_back(child)
        finally:
            shared.lock.release()

    def _is_taken_up(self, child: Child) -> bool:
        """Tell whether every runner is at a job, and none of these is short."""
        latest = self._clock.monotonic() - LONG_RUN
        for slot in child.shared.slots:
            running = slot.running()
            if running is None or running.started > latest:
                return False
        return True

    def _give_back(self, child: Child) -> None:
        if child.owed:
            try:
                self._leases.give_back(child.holder, child.owed)
            except BrokerUnavailable as error:
                self._next_renewal = self._clock.monotonic() + self._retry_delay(error)
                return
            child.owed.clear()

    # ---- when to look again ----

    def _next_duty(self, child: Child, *next_looks: float | None) -> float:
        """Return the seconds until something must be looked at, if nothing is heard before."""
        now, shared = self._clock.monotonic(), child.shared
        instants = [self._next_renewal, self._next_reap, shared.vouched_until]
        if self._may_run_until is not None and not child.told_to_stop:
            instants.append(self._may_run_until)
        if child.cut_at:
            instants.append(child.cut_at + GRACE)
        instants += [look for look in next_looks if look is not None]
        for watch in child.watches:
            if watch.slot.phase == Phase.WORKING:
                look = watch.deadlines.next_look(watch.slot.running(), now)
                if look is not None:
                    instants.append(now + look)
        return max(0.0, min(instants) - now) + 0.0005


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            continue
    except BlockingIOError:
        return
