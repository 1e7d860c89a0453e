"""The process that runs a schedule: one of several leads, and takes each tick to its end."""

from __future__ import annotations

import logging
import os
import secrets
import select
import socket
from itertools import groupby
from typing import TYPE_CHECKING, cast

from onqueue.errors import BrokerError
from onqueue.schedule.heartbeat import Heartbeat
from onqueue.schedule.planning import plan
from onqueue.schedule.settling import NoLongerLeading, Settler
from onqueue.schedule.store import schedule_of, store_of
from onqueue.worker.unix_signals import ParentSignals

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.connections import QueueManager
    from onqueue.schedule.definition import Entry
    from onqueue.ticks import EntryState, ScheduleState

log = logging.getLogger("onqueue.schedule")

LEASE = 15.0
"""Seconds for which a leader that says nothing any more still leads."""

LONGEST_LOOK = 300.0
"""Seconds after which a leader that is not done with what is due loses its place: it hangs."""

HELD_EVERY = 1.0
"""Seconds between two looks at a job whose end a tick waits for."""

_SHORTEST_RETRY, _LONGEST_RETRY = 0.2, 10.0


class Scheduler:
    """Runs the schedule of a manager as long as it leads, and waits to lead otherwise."""

    def __init__(self, manager: QueueManager, lease: float = LEASE) -> None:
        """Raise `ConfigurationError` or `UnsupportedByDriver` when there is nothing to run."""
        self._schedule = schedule_of(manager)
        self._store = store_of(manager)
        self._clock = manager.clock
        self._lease = lease
        self._token = secrets.token_hex(12)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        connection = manager.config(self._schedule.connection).name
        self._settler = Settler(manager, self._store, connection, self._token, self._name)
        self._retries: dict[str, _Retry] = {}
        self._leads = False
        self._asked_at, self._then = 0.0, 0
        self._is_stopping: Callable[[], bool] = lambda: False

    def run(self) -> None:
        """Work until TERM, INT or QUIT, then give the leadership up; needs the main thread."""
        retry = _Retry()
        with ParentSignals() as signals:
            self._is_stopping = lambda: signals.stops > 0
            descriptor = signals.wakeup.fileno()
            while not signals.stops:
                try:
                    self._store.wait(self.step(), descriptor, leads=self._leads)
                    retry = _Retry()
                except BrokerError as error:
                    seconds = retry.failed(self._clock.monotonic())
                    log.warning("again in %.1f s: %s", seconds, error)
                    select.select([descriptor], [], [], seconds)
                signals.wakeup.drain()
            self.close()

    def close(self) -> None:
        """Give the leadership up, if it is ours, and close the store."""
        if self._leads:
            try:
                self._store.resign(self._token)
            except BrokerError as error:
                log.warning("the leadership ends by itself in %.0f s: %s", self._lease, error)
        self._store.close()

    def step(self) -> float:
        """Do what is due if this process leads; return the seconds until the next look.

        Raises `BrokerError` when the store cannot be asked.
        """
        left = self._lead()
        if not self._leads:
            return left
        often = self._lease / 3
        try:
            with Heartbeat(self._renew, often, LONGEST_LOOK):
                return min(self._serve(), often)
        except NoLongerLeading:
            log.warning("%s leads no longer", self._name)
            return 0.0

    # ---- leading ----

    def _lead(self) -> float:
        """Ask for the leadership; return the seconds to wait when another process has it."""
        self._asked_at = self._clock.monotonic()
        term = self._store.lead(self._token, self._lease, self._name)
        self._then = term.now
        if term.leads != self._leads:
            log.info("%s", "leads now" if term.leads else f"{term.name} leads")
        self._leads = term.leads
        return term.left

    def _renew(self) -> bool:
        return self._store.lead(self._token, self._lease, self._name).leads

    def _now(self) -> int:
        """Return the store's time in milliseconds: all processes go by one clock."""
        return self._then + int((self._clock.monotonic() - self._asked_at) * 1000)

    def _serve(self) -> float:
        """Tend to all entries; return the seconds until one of them is due."""
        state = self._store.look([entry.name for entry in self._schedule])
        waits = [self._tend(entry, state) for entry in self._schedule if not self._is_stopping()]
        for order in state.orders:
            if order.entry not in self._schedule:
                self._settler.refuse(order, self._now())
        return min(waits, default=self._lease)

    # ---- one entry ----

    def _tend(self, entry: Entry, state: ScheduleState) -> float:
        """Do what an entry wants; its troubles hold up no other one."""
        retry = self._retries.get(entry.name)
        if retry is not None and retry.at > self._clock.monotonic():
            return retry.at - self._clock.monotonic()
        try:
            wait = self._settle(entry, state)
        except NoLongerLeading:
            raise
        except Exception as error:
            retry = self._retries.setdefault(entry.name, _Retry())
            seconds = retry.failed(self._clock.monotonic())
            trace = None if isinstance(error, BrokerError) else error
            log.warning("entry %r, again in %.1f s: %s", entry.name, seconds, error, exc_info=trace)
            return seconds
        self._retries.pop(entry.name, None)
        return wait

    def _settle(self, entry: Entry, known: ScheduleState) -> float:
        """Settle what is open, held, due and asked for, in this order."""
        state = self._resume(entry, known.entries[entry.name])
        pause = _pause_of(entry, known)
        due = plan(entry, entry.catching_up, cast("int", state.last), self._now())
        for is_skipped, group in groupby(due.ticks, lambda one: bool(one.skip)):
            ticks = list(group)
            if is_skipped:
                self._settler.skip(entry, ticks, self._now())
                continue
            for tick in ticks:
                if self._is_stopping():
                    return 0.0
                self._settler.settle_due(entry, tick, state, self._now(), pause)
                state = self._look(entry)
        for order in known.orders:
            if order.entry == entry.name:
                self._settler.obey(entry, order, state, self._now())
                state = self._look(entry)
        return self._wait_of(entry, state, more=due.more)

    def _resume(self, entry: Entry, state: EntryState) -> EntryState:
        """Finish what was begun, perhaps by another process; return what is known then."""
        if state.opened is not None:
            self._settler.reopen(entry, state.opened, self._now())
        if state.last is None:
            self._settler.begin(entry, self._now())
        if state.held is not None:
            self._settler.settle_held(entry, state, self._now())
        is_new = state.opened is not None or state.last is None or state.held is not None
        return self._look(entry) if is_new else state

    def _look(self, entry: Entry) -> EntryState:
        return self._store.look([entry.name]).entries[entry.name]

    def _wait_of(self, entry: Entry, state: EntryState, *, more: bool) -> float:
        if more:
            return 0.0
        following = entry.after(self._now())
        wait = self._lease if following is None else (following - self._now()) / 1000
        return min(wait, HELD_EVERY) if state.held is not None else wait


class _Retry:
    """Waits longer with each failure of a row; `at` is on the monotonic clock."""

    def __init__(self) -> None:
        self.at = 0.0
        self._next = _SHORTEST_RETRY

    def failed(self, now: float) -> float:
        """Count a failure and return the seconds to wait."""
        seconds, self._next = self._next, min(self._next * 2, _LONGEST_RETRY)
        self.at = now + seconds
        return seconds


def _pause_of(entry: Entry, state: ScheduleState) -> str:
    pause = state.pauses.get(entry.name) or state.pauses.get("")
    if pause is None:
        return ""
    return f"paused: {pause.reason}" if pause.reason else "paused"
