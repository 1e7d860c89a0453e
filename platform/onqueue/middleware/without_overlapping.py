"""One job of a key at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from onqueue.errors import NotRunning
from onqueue.job_context import Order
from onqueue.options import Seconds, checked_seconds

if TYPE_CHECKING:
    from onqueue.job import Job
    from onqueue.middleware.pipeline import Next


class WithoutOverlapping:
    """Runs the job only while no other job of its class and key runs.

    A job that must wait is parked in order and woken when its turn comes; that spends no
    attempt. The lock ends with the lease of the worker that took it, at the latest.
    """

    def __init__(self, key: object = "") -> None:
        """Guard one key; without one, the whole job class."""
        self._key = str(key)
        self._release_after: float | None = None
        self._should_drop = False
        self._expire_after: float | None = None
        self._is_shared = False

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

    def shared(self) -> Self:
        """Let the key hold across job classes."""
        self._is_shared = True
        return self

    def lock_name(self, job: Job) -> str:
        """Return the lock's name for a job."""
        scope = "" if self._is_shared else f"{job.name}:"
        return f"overlap:{scope}{self._key}"

    def __call__(self, job: Job, inner: Next) -> None:
        """Run the job under the lock, or let it wait."""
        context = job.running("middleware")
        if context.locks is None:
            raise NotRunning(type(job).__qualname__, "locks")
        lock = self.lock_name(job)
        if not context.locks.acquire(lock, context.job_id, self._expire_after):
            context.give(self._waiting(lock))
            return
        try:
            inner(job)
        finally:
            context.locks.release(lock, context.job_id)

    def _waiting(self, lock: str) -> Order:
        if self._should_drop:
            return Order("skip")
        if self._release_after is not None:
            return Order("release", delay=self._release_after)
        return Order("park", lock=lock)
