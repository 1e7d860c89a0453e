"""A lock by name: as a middleware, or around a part of a job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from onqueue.errors import BrokerUnavailable, LimitReached, NotRunning, RunEnded
from onqueue.job_context import JobContext, Order, current_run
from onqueue.options import Seconds, checked_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from onqueue.contracts import Locks
    from onqueue.job import Job

log = logging.getLogger("onqueue.limits")


class Lock:
    """One job at a time among all that name the key.

    As a middleware it parks a job that must wait, in order and without spending its attempt. As a
    context manager it raises `LimitReached`; with `release_after` the run ends there and the job
    goes back to its queue. It ends with the lease of the job that has it, at the latest.
    """

    def __init__(self, key: object) -> None:
        """Guard one key."""
        self._name = f"lock:{key}"
        self._release_after: float | None = None
        self._should_drop = False
        self._expire_after: float | None = None

    def __repr__(self) -> str:
        """Return it as it is written."""
        return f"lock({self._name.removeprefix('lock:')!r})"

    def release_after(self, span: Seconds) -> Self:
        """Give a job that must wait back to its queue for a span; that spends its attempt."""
        self._release_after = checked_seconds("release_after()", span)
        return self

    def dont_release(self) -> Self:
        """Skip a job that would have to wait."""
        self._should_drop = True
        return self

    def expire_after(self, span: Seconds) -> Self:
        """Let the lock end after a span, even while its job still runs."""
        self._expire_after = checked_seconds("expire_after()", span)
        return self

    def lock_name(self, job: Job) -> str:
        """Return the lock's name for a job."""
        del job
        return self._name

    def __call__(self, job: Job, inner: Callable[[Job], None]) -> None:
        """Run the job under the lock, or let it wait."""
        context, name = job.running("middleware"), self.lock_name(job)
        locks = _locks_of(context, job.name)
        if not locks.acquire(name, context.job_id, self._expire_after):
            context.give(self._waiting(name))
            return
        try:
            inner(job)
        finally:
            _give_back(locks, name, context.job_id)

    def _waiting(self, name: str) -> Order:
        if self._should_drop:
            return Order("skip")
        if self._release_after is not None:
            return Order("release", delay=self._release_after)
        return Order("park", lock=name)

    def __enter__(self) -> Self:
        """Take the lock, or raise `LimitReached` (or `RunEnded`).

        Raises `NotRunning` outside of a job.
        """
        context = current_run(repr(self))
        locks = _locks_of(context, "")
        if not locks.acquire(self._name, context.job_id, self._expire_after):
            if self._release_after is not None:
                context.give(Order("release", delay=self._release_after))
                raise RunEnded
            raise LimitReached(self._name, float("inf"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock back."""
        context = current_run(repr(self))
        _give_back(_locks_of(context, ""), self._name, context.job_id)


def lock(key: object) -> Lock:
    """Return the lock of a key, to be used as a middleware or in a `with`."""
    return Lock(key)


def _locks_of(context: JobContext, job: str) -> Locks:
    if context.locks is None:
        raise NotRunning(job, "locks")
    return context.locks


def _give_back(locks: Locks, name: str, owner: str) -> None:
    """Give a lock back; when the broker is away it ends with the job, whose outcome stands."""
    try:
        locks.release(name, owner)
    except BrokerUnavailable as error:
        log.warning("lock %r of job %s ends with the job: %s", name, owner, error)
