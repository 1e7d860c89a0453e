"""What lets several threads of a child work under one lease: one consumer, one trip at a time."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from onqueue.errors import BrokerUnavailable
from onqueue.worker.settlement import Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized
    from contextlib import AbstractContextManager
    from threading import RLock
    from typing import Any

    from onqueue.contracts import Consumer, JobId, Locks, Turn
    from onqueue.worker.cutting import ThreadCutter
    from onqueue.worker.recipes import Attempt


@runtime_checkable
class Shareable(Protocol):
    """A consumer that several threads may use; a driver without one allows no concurrency."""

    def share(self, guard: AbstractContextManager[Any]) -> None:
        """Take the guard for whatever a wait does besides waiting; all other calls come in it."""
        ...

    def marks(self) -> Marks:
        """Return what the threads mark their starts with; it needs no guard."""
        ...

    @property
    def owed(self) -> Sized:
        """What the next trip takes along; it must not wait for longer than a job takes to end."""
        ...


@runtime_checkable
class Foresighted(Protocol):
    """A consumer that sets something aside for jobs that were handed out and come yet."""

    coming: Callable[[], int]
    """Returns how many these are; the worker, which keeps them, knows."""


class Marks(Protocol):
    """The marks of all threads."""

    def mark(self, done: JobId | None, started: JobId) -> None:
        """Write down that one job is done and the next has started; nobody waits for it."""
        ...


class SharedConsumer:
    """Makes each call under the guard, but for the wait, which one thread at a time may do."""

    def __init__(self, consumer: Consumer, guard: RLock) -> None:
        """Stand in for the consumer."""
        self._consumer = consumer
        self._guard = guard
        self.holder = consumer.holder

    def __getattr__(self, name: str) -> Any:
        """Return the consumer's attribute; a method comes guarded."""
        found = getattr(self._consumer, name)
        if not callable(found):
            return found

        def guarded(*args: Any, **named: Any) -> Any:
            with self._guard:
                return found(*args, **named)

        setattr(self, name, guarded)
        return guarded

    def wait(self, timeout: float, wakeup_fd: int) -> None:
        """Block until a job may be ready; what it does to the shared line it does guarded."""
        self._consumer.wait(timeout, wakeup_fd)


class SharedLocks:
    """The locks of a holder as the jobs of one thread take them."""

    def __init__(self, locks: Locks, guard: RLock, cutter: ThreadCutter) -> None:
        """Let no cut come while the broker is asked."""
        self._locks = locks
        self._guard = guard
        self._cutter = cutter

    def acquire(self, key: str, owner: JobId, expire_after: float | None) -> bool:
        """Take the lock; True when it is the owner's now."""
        with self._cutter.shielded(), self._guard:
            return self._locks.acquire(key, owner, expire_after)

    def release(self, key: str, owner: JobId) -> bool:
        """Give the lock back; False when it is another's."""
        with self._cutter.shielded(), self._guard:
            return self._locks.release(key, owner)


class SharedSettlement(Settlement):
    """Settles the runs of several threads; its consumer is a `SharedConsumer`.

    The two steps that every job takes need no lock: a success is put into a list of its own until
    the next turn, and starts are marked on a line of their own to the broker.
    """

    def __init__(self, guard: RLock, marks: Marks, **rest: Any) -> None:
        """`rest` is what every settlement is given."""
        super().__init__(**rest)
        self._guard = guard
        self._marks = marks
        self._own = threading.local()
        self._turns = 0
        self._successes: deque[tuple[Attempt, float]] = deque()
        self.unconfirmed = self._successes

    def turn(self, want: int, *, at_stake: bool = False) -> Turn:
        """Confirm what is done by any thread and return the next jobs; raises `LeaseLost`."""
        with self._guard:
            self._turns += 1
            while self._successes:
                super().succeed(*self._successes.popleft())
            return super().turn(want, at_stake=at_stake)

    def succeed(self, attempt: Attempt, duration: float) -> None:
        """Note a plain success, to be confirmed by the next turn of any thread."""
        own = self._own
        own.done = attempt.reserved.id
        self._successes.append((attempt, duration))
        own.turns = self._turns

    @property
    def owes_confirmation(self) -> bool:
        """Whether no turn has begun since this thread's last success.

        Those of others are their business: each makes a trip before it waits or begins a long job.
        """
        return self._own.__dict__.get("turns") == self._turns

    def give_back(self, ids: Sequence[JobId]) -> None:
        """Return jobs that were never started to the front of their queues."""
        with self._guard:
            super().give_back(ids)

    def mark(self, started: JobId) -> None:
        """Write down that this thread's last success is done and this job starts."""
        marks, done = self._marks, self._own.__dict__.pop("done", None)
        try:
            marks.mark(done, started)
        except BrokerUnavailable:
            self._insist(lambda: marks.mark(done, started))
